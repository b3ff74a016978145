"""Secrets of a real OpenBao server: values, logins, and credentials that are leased from a real database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from enfilade import App, anyone, contract, query
from enfilade.clock import VirtualClock
from enfilade.config import Config
from enfilade.errors import StartError
from enfilade.secrets import Secrets, Unreadable
from enfilade.secrets.source import sources_of
from enfilade.service import Secret
from enfilade.testing import Stage

ROOT = "root-of-the-tests"


@asynccontextmanager
async def opened(place: str, clock: VirtualClock | None = None, **environ: str) -> AsyncGenerator[Secrets]:
    clock = clock or VirtualClock()
    made = Secrets(sources_of([place], clock, environ or {"BAO_TOKEN": ROOT}), clock)
    try:
        yield made
    finally:
        await made.aclose()


async def until(true: Callable[[], object]) -> None:
    """Wait for what a thread does with the server."""
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


async def passes(clock: VirtualClock, seconds: float) -> None:
    """Time passes; who waits for it has begun to wait, and does afterwards what he waited for."""
    await asyncio.sleep(0.02)
    await clock.advance(seconds)
    await asyncio.sleep(0.05)


async def test_a_value_is_the_field_value_or_the_only_one_or_the_one_that_is_named(bao: Any) -> None:
    bao.put("payments/psp-key", value="open sesame", account="shop")
    bao.put("payments/single", token="the only one")
    bao.put("payments/many", a="value a", b="value b")
    async with opened(f"vault:{bao.url}/secret") as found:
        assert await found.reveal("payments/psp-key") == "open sesame"
        assert await found.reveal("payments/psp-key#account") == "shop"
        assert await found.reveal("payments/single") == "the only one"
        assert await found.find("payments/many") is None
        assert await found.reveal("payments/many#b") == "value b"
        assert await found.find("payments/none") is None


async def test_a_new_version_arrives_within_a_minute(bao: Any) -> None:
    clock = VirtualClock()
    bao.put("rotated", value="old value")
    async with opened(f"vault:{bao.url}/secret", clock) as found:
        assert await found.reveal("rotated") == "old value"
        bao.put("rotated", value="new value")
        assert await found.reveal("rotated") == "old value"
        await clock.advance(60)
        assert await found.reveal("rotated") == "new value"


async def test_who_waits_for_a_change_learns_it_from_the_server(bao: Any) -> None:
    clock = VirtualClock()
    bao.put("watched", value="old value")
    async with opened(f"vault:{bao.url}/secret", clock) as found:
        waiting = asyncio.create_task(found.changed("watched", await found.reveal("watched")))
        bao.put("watched", value="new value")
        for _ in range(70):
            await clock.advance(1)
            await asyncio.sleep(0.005)
        assert await waiting == "new value"


async def test_an_application_logs_in_by_its_role(bao: Any) -> None:
    bao.put("approle", value="for applications")
    bao.allow("reader", "secret/data/approle")
    bao.operator.sys.enable_auth_method("approle")
    bao.operator.auth.approle.create_or_update_approle("shop", token_policies=["reader"], token_ttl="10m")
    role = bao.operator.auth.approle.read_role_id("shop")["data"]["role_id"]
    secret = bao.operator.auth.approle.generate_secret_id("shop")["data"]["secret_id"]
    environ = {"BAO_ROLE_ID": role, "VAULT_SECRET_ID": secret}
    async with opened(f"vault:{bao.url}/secret?login=approle", **environ) as found:
        assert await found.reveal("approle") == "for applications"
        with pytest.raises(Unreadable, match="does not let us read"):
            await found.reveal("payments/psp-key")
    place = f"vault:{bao.url}/secret?login=approle"
    async with opened(place, BAO_ROLE_ID=role, BAO_SECRET_ID="guessed") as found:
        with pytest.raises(Unreadable):
            await found.reveal("approle")


async def test_a_token_that_has_ended_is_replaced_by_logging_in_again(bao: Any) -> None:
    clock = VirtualClock()
    bao.put("again", value="still here")
    bao.allow("again", "secret/data/again")
    bao.operator.sys.enable_auth_method("approle", path="again")
    bao.operator.auth.approle.create_or_update_approle("shop", token_policies=["again"], mount_point="again")
    role = bao.operator.auth.approle.read_role_id("shop", mount_point="again")["data"]["role_id"]
    secret = bao.operator.auth.approle.generate_secret_id("shop", mount_point="again")["data"]["secret_id"]
    place = f"vault:{bao.url}/secret?login=approle&at=again"
    async with opened(place, clock, BAO_ROLE_ID=role, BAO_SECRET_ID=secret) as found:
        assert await found.reveal("again") == "still here"
        for accessor in bao.operator.list("auth/token/accessors")["data"]["keys"]:
            about = bao.operator.auth.token.lookup_accessor(accessor)["data"]
            if "again" in about["policies"]:
                bao.operator.auth.token.revoke_accessor(accessor)
        await clock.advance(60)
        assert await found.reveal("again") == "still here"


async def test_a_workload_logs_in_by_its_token(bao: Any, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256")
    bao.put("workload", value="for workloads")
    bao.allow("workload", "secret/data/workload")
    bao.operator.sys.enable_auth_method("jwt")
    bao.operator.auth.jwt.configure(jwt_validation_pubkeys=[key.as_pem(private=False).decode()])
    bao.operator.auth.jwt.create_role(
        "shop", role_type="jwt", user_claim="sub", bound_audiences=["bao"], token_policies=["workload"],
        allowed_redirect_uris=[],
    )  # fmt: skip
    claims = {"sub": "shop", "aud": "bao", "iat": int(time.time()), "exp": int(time.time()) + 60}
    (tmp_path / "token").write_text(jwt.encode({"alg": "ES256"}, claims, key) + "\n")
    place = f"vault:{bao.url}/secret?login=jwt&role=shop&jwt={tmp_path / 'token'}"
    async with opened(place, NONE="") as found:
        assert await found.reveal("workload") == "for workloads"


async def test_a_token_is_renewed_at_half_its_time(bao: Any) -> None:
    clock = VirtualClock()
    bao.put("renewed", value="renewed value")
    made = bao.operator.auth.token.create(policies=["root"], ttl="600s", renewable=True)["auth"]
    async with opened(f"vault:{bao.url}/secret", clock, BAO_TOKEN=made["client_token"]) as found:
        await found.reveal("renewed")
        await passes(clock, 299)
        before = bao.operator.auth.token.lookup(made["client_token"])["data"].get("last_renewal")
        await passes(clock, 2)
        await until(lambda: bao.operator.auth.token.lookup(made["client_token"])["data"].get("last_renewal"))

    assert before is None


@pytest.fixture
def database(bao: Any, postgres_server: Any) -> str:
    """An engine that makes users of a real PostgreSQL: of 60 seconds, and of 150 with all renewals."""
    if "database/" not in bao.operator.sys.list_mounted_secrets_engines()["data"]:
        bao.operator.sys.enable_secrets_engine("database")
        host = parse_qs(urlsplit(str(postgres_server.get_uri())).query)["host"][0]
        bao.operator.write(
            "database/config/shop", plugin_name="postgresql-database-plugin", allowed_roles="*",
            connection_url=f"host={host} user={{{{username}}}} password={{{{password}}}} dbname=postgres",
            username="postgres", password="unused",
        )  # fmt: skip
        make = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
        for name, longest in (("shop", "1h"), ("brief", "80s")):
            bao.operator.write(
                f"database/roles/{name}", db_name="shop", creation_statements=make, default_ttl="60s", max_ttl=longest
            )
    return f"lease:{bao.url}/database/creds"


def lease_ids(bao: Any, role: str) -> list[str]:
    found = bao.operator.list(f"sys/leases/lookup/database/creds/{role}")
    return [] if found is None else [f"database/creds/{role}/{key}" for key in found["data"]["keys"]]


def users(postgres_server: Any) -> str:
    return postgres_server.psql("SELECT rolname FROM pg_roles;")


async def test_credentials_are_made_for_the_app_and_taken_back(bao: Any, database: str, postgres_server: Any) -> None:
    async with opened(database) as found:
        user, password = await found.reveal("shop#username"), await found.reveal("shop#password")
        there = users(postgres_server)
        assert await found.find("nobody#username") is None
        assert await found.reveal("shop#username") == user

    assert user in there
    assert len(password) > 10
    assert user not in users(postgres_server)
    assert lease_ids(bao, "shop") == []


async def test_a_lease_is_renewed_at_half_its_time(bao: Any, database: str) -> None:
    clock = VirtualClock()
    async with opened(database, clock) as found:
        user = await found.reveal("shop#username")
        (lease,) = lease_ids(bao, "shop")

        def renewed() -> str | None:
            return bao.operator.sys.read_lease(lease)["data"]["last_renewal"]

        assert renewed() is None
        await passes(clock, 31)
        await until(renewed)
        first = renewed()
        await passes(clock, 31)
        await until(lambda: renewed() != first)
        assert await found.reveal("shop#username") == user


async def test_a_lease_that_ends_is_replaced_before(bao: Any, database: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    async with opened(database, clock) as found:
        user = await found.reveal("brief#username")
        (lease,) = lease_ids(bao, "brief")
        bao.operator.sys.revoke_lease(lease)  # so that it cannot be renewed any more
        for _ in range(4):
            await passes(clock, 31)
        other = await found.reveal("brief#username")

    assert other != user
    assert "could not be renewed" in caplog.text


async def test_a_server_that_is_away_leaves_the_last_value_and_a_warning(
    bao: Any, caplog: pytest.LogCaptureFixture
) -> None:
    clock = VirtualClock()
    other = type(bao)()
    try:
        other.start()
        other.put("key", value="read before")
        async with opened(f"vault:{other.url}/secret", clock) as found:
            assert await found.reveal("key") == "read before"
            other.stop()
            await clock.advance(60)
            with caplog.at_level(logging.WARNING):
                assert await found.reveal("key") == "read before"
            with pytest.raises(Unreadable, match="does not answer"):
                await found.reveal("other")
    finally:
        other.stop()

    assert "is used meanwhile" in caplog.text
    assert "read before" not in caplog.text.replace("that was read before", "")


@contract(needs=anyone)
class Gate(Protocol):
    @query("GET /gate")
    async def open(self) -> str: ...


@dataclass
class GateService(Gate):
    key: Secret = Secret("gate/key")
    bell: Secret = Secret("gate/bell")

    async def open(self) -> str:
        return await self.key.reveal()


def castle(*sources: str) -> App:
    app = App("castle", services=[Gate], config=Config(data="sqlite::memory:", secrets=sources))
    app.service(Gate).by(GateService)
    return app


async def test_a_start_says_how_missing_values_are_written(bao: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAO_TOKEN", ROOT)
    with pytest.raises(StartError) as caught:
        async with Stage(castle(f"vault:{bao.url}/secret")):
            pass

    assert len(caught.value.findings) == 2
    assert "run `bao kv put secret/gate/key value=-`" in str(caught.value)


async def test_a_start_without_the_server_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAO_TOKEN", ROOT)
    with pytest.raises(StartError) as caught:
        async with Stage(castle("vault:http://127.0.0.1:1/secret")):
            pass

    assert [one.what for one in caught.value.findings] == [
        "http://127.0.0.1:1 does not answer as it should: ConnectionError."
    ]


@pytest.mark.parametrize(
    "place",
    ["vault:", "vault:bao.example/secret", "vault:https://bao.example", "vault:https://h/secret?login=magic",
     "vault:https://h/secret?lgin=token"],
)  # fmt: skip
def test_a_place_that_is_none_stops_the_start(place: str) -> None:
    with pytest.raises(StartError):
        sources_of([place], VirtualClock(), {})


async def test_nothing_shows_what_a_vault_holds(bao: Any) -> None:
    bao.put("shown", value="not to be shown")
    clock = VirtualClock()
    (source,) = sources_of([f"vault:{bao.url}/secret"], clock, {"BAO_TOKEN": ROOT})
    await source.find("shown")
    text = f"{source!r} {vars(source)!r}"
    await source.aclose()

    assert "not to be shown" not in text
    assert ROOT not in text.replace(repr({"BAO_TOKEN": ROOT}), "")
