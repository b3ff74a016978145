"""Real handshakes on loopback, on both event loops: who is let in, and who is not."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from enfilade.clock import SystemClock, VirtualClock
from enfilade.errors import Forbidden
from enfilade.identity.workload import OUTSIDE, PeerRefused


def test_a_process_is_known_by_its_certificate_and_speaks_for_its_services(
    town: Any, seen: Any, serving: Any, ask: Any, run: Any
) -> None:
    async def work() -> list[str]:
        front, payments = town.workload("front"), town.workload("payments")
        async with serving(payments, seen) as port:
            said = ["orders payments", "catalog payments", "payments payments", "billing payments"]
            return [await ask(port, front.client, front.host("payments"), line) for line in said]

    assert run(work()) == ["ok", "ok", "403", "403"]
    assert seen.refused == []


def test_a_client_knows_that_the_other_end_holds_the_service_that_it_wants(
    town: Any, seen: Any, serving: Any, ask: Any, run: Any
) -> None:
    async def work() -> list[str]:
        front, payments = town.workload("front"), town.workload("payments")
        async with serving(payments, seen) as port:
            return [await ask(port, front.client, front.host(name)) for name in ("payments", "orders")]

    assert run(work()) == ["ok", ""]


def test_both_ends_learn_who_is_there(town: Any, run: Any) -> None:
    async def work() -> None:
        front, payments = town.workload("front"), town.workload("payments")
        found: list[Any] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.append(payments.peer_of(writer.get_extra_info("ssl_object")))
            writer.write(b"\n")
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=payments.server)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=front.client, server_hostname=front.host("payments")
        )
        found.append(front.peer_of(writer.get_extra_info("ssl_object")))
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        await reader.read()
        writer.close()
        server.close()

        there, here = sorted(found, key=lambda one: str(one.id), reverse=True)
        assert (str(there.id), there.services) == ("spiffe://shop/service/payments", {"payments"})
        assert (str(here.id), here.services) == ("spiffe://shop/process/front", {"orders", "catalog"})
        assert here.until == town.clock.now().timestamp() + 3600
        assert here.leave == town.clock.now().timestamp() + 1800

    run(work())


@pytest.mark.parametrize("name", ["payments.shop", None])
def test_nobody_comes_in_without_a_certificate(
    town: Any, seen: Any, serving: Any, ask: Any, run: Any, name: str | None
) -> None:
    async def work() -> str:
        async with serving(town.workload("payments"), seen) as port:
            return await ask(port, town.context(b""), name)

    assert run(work()) == ""
    assert seen.served == 0


def test_nobody_comes_in_with_a_certificate_of_another_authority(
    town: Any, seen: Any, serving: Any, ask: Any, run: Any, another: Any, tmp_path: Path
) -> None:
    other = another(tmp_path / "other", town.clock)

    async def work() -> str:
        async with serving(town.workload("payments"), seen) as port:
            return await ask(port, town.context(other.authority.issue("front", ["orders"])), "payments.shop")

    assert run(work()) == ""
    assert seen.served == seen.connections == 0


def test_no_client_talks_to_a_server_of_another_authority(
    town: Any, seen: Any, serving: Any, ask: Any, run: Any, another: Any, tmp_path: Path
) -> None:
    other = another(tmp_path / "other", town.clock)
    other.write()

    async def work() -> str:
        async with serving(other.workload("payments"), seen) as port:
            return await ask(port, town.workload("front").client, "payments.shop")

    assert run(work()) == ""
    assert seen.served == 0


def test_a_certificate_that_is_over_lets_nobody_in(
    town: Any, clock: VirtualClock, seen: Any, serving: Any, ask: Any, run: Any
) -> None:
    async def work() -> list[str]:
        old = town.authority.issue("front", ["orders"])
        answers: list[str] = []
        for minutes in (59, 2):
            await clock.advance(timedelta(minutes=minutes))
            town.write()
            async with serving(town.workload("payments"), seen) as port:
                answers.append(await ask(port, town.context(old), "payments.shop"))
        return answers

    assert run(work()) == ["ok", ""]
    assert "good until" in seen.refused[0]


def test_on_the_machines_time_tls_itself_refuses_what_is_over(
    seen: Any, serving: Any, ask: Any, run: Any, another: Any, tmp_path: Path
) -> None:
    then = VirtualClock(datetime.now(UTC) - timedelta(hours=2))
    old = another(tmp_path, then).authority.issue("front", ["orders"])
    now = another(tmp_path, SystemClock())
    now.write()

    async def work() -> list[str]:
        async with serving(now.workload("payments"), seen) as port:
            fresh = now.workload("front").client
            return [await ask(port, one, "payments.shop") for one in (now.context(old), fresh)]

    assert run(work()) == ["", "ok"]
    assert seen.connections == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"uris": ["spiffe://shop/process/front", "spiffe://shop/service/payments"]},
        {"uris": []},
        {"uris": ["spiffe://bank/process/front"]},
        {"uris": ["spiffe://shop"]},
        {"hosts": ["orders.shop", "orders.bank"]},
        {"ca": True},
        {"signs": True},
    ],
    ids=str,
)
def test_a_certificate_that_the_rules_forbid_lets_nobody_in_though_the_authority_signed_it(
    town: Any, seen: Any, serving: Any, ask: Any, run: Any, forge: Any, wrong: dict[str, Any]
) -> None:
    async def work() -> list[str]:
        async with serving(town.workload("payments"), seen) as port:
            return [await ask(port, town.context(one), "payments.shop") for one in (forge(), forge(**wrong))]

    assert run(work()) == ["ok", ""]
    assert seen.served == 1


def test_an_authoritys_own_certificate_is_nobodys(town: Any, seen: Any, serving: Any, ask: Any, run: Any) -> None:
    root = town.authority._roots[0].kept

    async def work() -> str:
        async with serving(town.workload("payments"), seen) as port:
            return await ask(port, town.context((root.key + root.certificate).encode()), "payments.shop")

    assert run(work()) == ""
    assert seen.served == 0


def test_no_older_tls_is_spoken(town: Any, seen: Any, serving: Any, ask: Any, run: Any) -> None:
    async def work() -> str:
        async with serving(town.workload("payments"), seen) as port:
            old = town.context(town.authority.issue("front", ["orders"]))
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            return await ask(port, old, "payments.shop")

    assert run(work()) == ""
    assert seen.connections == 0


def test_no_session_is_resumed(town: Any) -> None:
    assert town.workload("payments").server.num_tickets == 0


def test_without_tls_there_is_no_peer(town: Any) -> None:
    with pytest.raises(PeerRefused, match="no certificate"):
        town.workload("payments").peer_of(None)


def test_what_comes_from_outside_is_passed_on_by_who_may(town: Any) -> None:
    town.authority.renew(town.folder, {"front": ("orders", OUTSIDE), "gate": (OUTSIDE,), "payments": ("payments",)})
    front, gate, payments = (town.workload(name) for name in ("front", "gate", "payments"))

    assert (str(front.own.id), str(gate.own.id)) == ("spiffe://shop/process/front", "spiffe://shop/process/gate")
    payments.admit(front.own, "", "payments")
    payments.admit(gate.own, "", "payments")
    with pytest.raises(Forbidden, match="from outside"):
        front.admit(payments.own, "", "orders")


def test_calls_are_handed_over_between_processes_of_one_service(town: Any) -> None:
    town.authority.renew(town.folder, {"payments": ("payments",), "payments.2": ("payments",)})

    town.workload("payments.2").admit(town.workload("payments").own, "orders", "payments")
