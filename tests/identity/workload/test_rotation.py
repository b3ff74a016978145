"""Certificates and roots are exchanged while calls are made, and no call fails."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from enfilade.clock import VirtualClock
from enfilade.errors import StartError, Unauthenticated
from enfilade.identity.workload import Workload


class Line:
    """One caller with one connection, which he leaves between two calls when it is time."""

    def __init__(self, me: Workload, port: int, clock: VirtualClock) -> None:
        self.me, self.port, self.clock = me, port, clock
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter | None = None
        self.opened = 0
        self.answers: list[str] = []

    async def call(self) -> None:
        if self.writer is None or self.clock.now().timestamp() >= self.peer.leave:
            self.close()
            self.reader, self.writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=self.me.client, server_hostname=self.me.host("payments")
            )
            self.peer = self.me.peer_of(self.writer.get_extra_info("ssl_object"))
            self.opened += 1
        self.writer.write(b"orders payments\n")
        self.answers.append((await self.reader.readline()).decode().strip())

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


async def lines(work: list[Line], done: asyncio.Event) -> None:
    async def one(line: Line) -> None:
        while not done.is_set():
            await line.call()
        line.close()

    await asyncio.gather(*map(one, work))


def test_a_root_is_exchanged_under_load_and_no_call_fails(
    town: Any, clock: VirtualClock, seen: Any, serving: Any, run: Any
) -> None:
    async def work() -> list[Line]:
        done = asyncio.Event()
        keeping = asyncio.create_task(
            town.authority.keep(town.folder, {"front": ("orders",), "payments": ("payments",)})
        )
        await asyncio.sleep(0)
        front, payments = town.workload("front"), town.workload("payments")
        async with front, payments, serving(payments, seen) as port:
            callers = [Line(front, port, clock) for _ in range(4)]
            load = asyncio.create_task(lines(callers, done))
            first = town.authority.bundle
            town.authority.rotate()
            for _ in range(60):  # three hours
                await clock.advance(timedelta(minutes=3))
                enough = seen.served + 2 * len(callers)
                while seen.served < enough and not load.done():  # noqa: ASYNC110  (nobody else would set an event)
                    await asyncio.sleep(0)
            assert first not in town.authority.bundle
            issuer = x509.load_pem_x509_certificate((town.folder / "front.pem").read_bytes()).issuer
            assert issuer == x509.load_pem_x509_certificate(town.authority.bundle).subject
            done.set()
            await load
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        return callers

    callers = run(work())

    answers = [one for line in callers for one in line.answers]
    assert set(answers) == {"ok"}
    assert len(answers) >= 480
    assert seen.refused == []
    assert seen.connections == sum(line.opened for line in callers)
    assert min(line.opened for line in callers) >= 6  # three hours of connections that end within half an hour


def test_a_connection_that_is_kept_is_not_dropped_by_a_renewal_but_ends_with_its_certificate(
    town: Any, clock: VirtualClock, seen: Any, serving: Any, run: Any
) -> None:
    async def work() -> list[str]:
        front, payments = town.workload("front"), town.workload("payments")
        async with front, payments, serving(payments, seen) as port:
            line = Line(front, port, clock)
            await line.call()
            line.peer = type(line.peer)(line.peer.id, line.peer.services, line.peer.until, leave=9e9)  # stays
            for minutes in (31, 28, 1):
                await clock.advance(timedelta(minutes=minutes))
                town.write()
                await line.call()
            line.close()
            return line.answers

    assert run(work()) == ["ok", "ok", "ok", "401"]
    assert seen.connections == 1


def test_a_listening_server_shows_and_believes_what_is_good_now(
    town: Any, clock: VirtualClock, seen: Any, serving: Any, ask: Any, run: Any
) -> None:
    async def work() -> list[str]:
        front, payments = town.workload("front"), town.workload("payments")
        async with serving(payments, seen) as port:
            answers = [await ask(port, front.client, front.host("payments"))]
            (town.folder.parent / "authority.sealed").unlink()
            town.authority = type(town.authority)(
                "shop", b"another secret, as long as before", town.folder.parent, clock
            )
            town.write()
            assert front.refresh()
            answers.append(await ask(port, front.client, front.host("payments")))  # the server does not know it yet
            assert payments.refresh()
            answers.append(await ask(port, front.client, front.host("payments")))
            return answers

    assert run(work()) == ["ok", "", "ok"]


async def test_a_process_takes_what_is_new_by_itself(town: Any, clock: VirtualClock) -> None:
    async with town.workload("front") as front:
        before, until = front.client, front.own.until
        await clock.advance(timedelta(minutes=30))
        town.write()
        await clock.advance(10)

        assert front.own.until == until + 1800
        assert front.client is not before
        assert not front.refresh()


async def test_what_cannot_be_used_is_told_and_the_certificate_that_there_is_stays(
    town: Any, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    file = town.folder / "front.pem"
    async with town.workload("front") as front:
        before = front.own
        for spoiled in (b"", b"spoiled", file.read_bytes()[:300], (town.folder / "payments.pem").read_bytes()[:500]):
            file.write_bytes(spoiled)
            assert not front.refresh()
        file.unlink()
        await clock.advance(10)
        assert front.own == before
        town.write()
        assert front.refresh()

    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 5
    assert "PRIVATE" not in caplog.text


async def test_a_process_that_is_not_renewed_says_so_once(
    town: Any, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with town.workload("front"):
        await clock.advance(timedelta(minutes=44))
        assert caplog.messages == []
        await clock.advance(timedelta(minutes=5))

    assert caplog.messages == ["the certificate of front was not renewed: it is good for 890 s"]


async def test_an_authority_that_cannot_write_tries_again(
    town: Any, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    keeping = asyncio.create_task(town.authority.keep(town.folder / "front.pem" / "sub", {"front": ("orders",)}))
    await asyncio.sleep(0)
    assert "certificates cannot be written" in caplog.text
    (town.folder / "front.pem").unlink()
    await clock.advance(30)
    assert (town.folder / "front.pem" / "sub" / "front.pem").exists()
    keeping.cancel()


@pytest.mark.parametrize("broken", ["missing", "roots", "over", "open", "locked", "strange"])
async def test_a_process_without_a_good_certificate_does_not_start(
    town: Any, clock: VirtualClock, another: Any, tmp_path: Any, broken: str
) -> None:
    file = town.folder / "front.pem"
    if broken == "missing":
        file.unlink()
    elif broken == "roots":
        (town.folder / "roots.crt").write_text("")
    elif broken == "over":
        await clock.advance(timedelta(hours=1))
    elif broken == "open":
        file.chmod(0o644)
    elif broken == "locked":  # nobody is asked for a password
        key = load_pem_private_key(file.read_bytes(), None)
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password"))
        file.write_bytes(locked + file.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])
    else:
        file.write_bytes(another(tmp_path / "bank", clock, "bank").authority.issue("front", ["orders"]))

    with pytest.raises(StartError, match="certificate of front cannot be used") as refused:
        town.workload("front")

    assert refused.value.findings[0].where == str(file)


class Exchanged(type(Path())):  # type: ignore[misc]
    """A folder whose file of a process is another as soon as it was read for the first time."""

    new: ClassVar[list[bytes]] = []
    reads = 0

    def read_bytes(self) -> bytes:
        said = super().read_bytes()
        if self.name == "front.pem":
            Exchanged.reads += 1
            if self.new:
                self.write_bytes(self.new.pop())
        return said


def test_a_file_that_is_exchanged_while_it_is_read_is_read_again(town: Any, clock: VirtualClock) -> None:
    Exchanged.new.append(town.authority.issue("front", ("orders",)))

    front = Workload("shop", "front", Exchanged(town.folder), clock)

    assert front.own.services == {"orders"}
    assert Exchanged.reads == 4
    assert not front.refresh()


async def test_a_call_is_not_let_in_after_the_certificate_is_over(town: Any, clock: VirtualClock) -> None:
    payments, front = town.workload("payments"), town.workload("front")
    payments.admit(front.own, "orders", "payments")
    await clock.advance(timedelta(hours=1))

    with pytest.raises(Unauthenticated, match="connect again"):
        payments.admit(front.own, "orders", "payments")
