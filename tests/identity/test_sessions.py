"""Sessions in a cookie: who has one is known, and no other site's page uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final

import httpx2
import pytest

from enfilade import App, Owner, Principal, anyone, command, contract, query, signed_in
from enfilade.config import Config, SessionConfig
from enfilade.service import Sessions, current
from enfilade.testing import Stage


@contract(needs=signed_in)
class Desk(Protocol):
    @command("POST /sessions", needs=anyone)
    async def log_in(self, subject: str, tenant: str = "") -> str: ...

    @command("DELETE /sessions")
    async def log_out(self) -> None: ...

    @query("GET /me", needs=Owner)
    async def me(self) -> str: ...

    @query("GET /token")
    async def token(self) -> str: ...

    @command("POST /orders")
    async def order(self) -> str: ...


@final
@dataclass
class DeskService(Desk):
    sessions: Sessions

    async def log_in(self, subject: str, tenant: str = "") -> str:
        return self.sessions.start(Principal(subject=subject, tenant=tenant))

    async def log_out(self) -> None:
        self.sessions.end()

    async def me(self) -> str:
        return f"{current().me} of {current().tenant}"

    async def token(self) -> str:
        return self.sessions.token()

    async def order(self) -> str:
        return current().me


def desk(**said: Any) -> Stage:
    app = App("desk", services=[Desk])
    app.service(Desk).by(DeskService)
    return Stage(app, config=Config(data="sqlite::memory:", sessions=SessionConfig(**said)))


async def logged_in(stage: Stage, subject: str = "ann") -> tuple[dict[str, str], str]:
    """The cookie as a browser would send it, and the session's token."""
    answer = await stage.http.post("/sessions", json={"subject": subject, "tenant": "acme"})
    stage.http.cookies.clear()
    assert answer.status_code == 200, answer.text
    return {"cookie": f"other=1; {answer.headers['set-cookie'].partition(';')[0]}"}, answer.json()


async def test_who_logged_in_is_known_by_his_cookie() -> None:
    async with desk() as stage:
        cookie, _ = await logged_in(stage)
        answer = await stage.http.get("/me", headers=cookie)

        assert (answer.status_code, answer.json()) == (200, "ann of acme")
        assert (await stage.http.get("/me")).status_code == 401


async def test_the_cookie_is_bound_to_the_host_and_out_of_scripts_hands() -> None:
    async with desk(life=600.0) as stage:
        answer = await stage.http.post("/sessions", json={"subject": "ann"})
        name, _, attributes = answer.headers["set-cookie"].partition("=")

        assert name == "__Host-session"
        assert attributes.partition("; ")[2] == "Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax"
        assert "ann" not in attributes


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://app.test"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "https://admin.example"}, 200),
        ({"origin": "http://app.test"}, 200),
        ({"origin": "http://app.test.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "nonsense"}, 403),
        ({}, 403),
        ({"x-csrf-token": "wrong", "sec-fetch-site": "same-origin"}, 403),
    ],
)
async def test_commands_are_served_to_pages_of_our_own(fields: dict[str, str], status: int) -> None:
    async with desk(origins=("https://admin.example",)) as stage:
        cookie, _ = await logged_in(stage)

        assert (await stage.http.post("/orders", headers=cookie | fields)).status_code == status


async def test_who_knows_the_sessions_token_needs_no_browser() -> None:
    async with desk() as stage:
        cookie, token = await logged_in(stage)
        _, another = await logged_in(stage, "eve")

        assert (await stage.http.get("/token", headers=cookie)).json() == token
        assert (await stage.http.post("/orders", headers=cookie | {"x-csrf-token": token})).status_code == 200
        assert (await stage.http.post("/orders", headers=cookie | {"x-csrf-token": another})).status_code == 403


async def test_a_session_that_is_over_changed_or_foreign_is_nobodys() -> None:
    async with desk(life=600.0) as stage, desk() as other:
        cookie, _ = await logged_in(stage)
        value = cookie["cookie"]
        elsewhere, _ = await logged_in(other)
        middle = len(value) // 2
        changed = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]

        for one in (
            changed,
            elsewhere["cookie"],
            "__Host-session=",
            "__Host-session=!",
            "session" + value[14:],
            ";;=,",
        ):
            assert (await stage.http.get("/me", headers={"cookie": one})).status_code == 401
        assert (await stage.http.get("/me", headers=cookie)).status_code == 200
        await stage.advance(601)
        assert (await stage.http.get("/me", headers=cookie)).status_code == 401


async def test_a_bearer_token_is_not_helped_by_a_cookie() -> None:
    async with desk() as stage:
        cookie, _ = await logged_in(stage)
        bob = stage.acting("bob", tenant="zeta").headers

        assert (await stage.http.get("/me", headers=cookie | bob)).json() == "bob of zeta"
        assert (await stage.http.get("/me", headers=cookie | {"authorization": "Bearer x"})).status_code == 401
        assert (await stage.http.get("/me", headers=cookie | {"authorization": "Basic YTpi"})).status_code == 401


async def test_logging_out_takes_the_cookie_away() -> None:
    async with desk() as stage:
        cookie, token = await logged_in(stage)
        answer: httpx2.Response = await stage.http.delete("/sessions", headers=cookie | {"x-csrf-token": token})

        assert answer.status_code == 204
        assert answer.headers["set-cookie"].startswith("__Host-session=; Max-Age=0; Path=/")


async def test_a_session_that_fits_no_cookie_is_a_bug_and_not_a_lost_session() -> None:
    async with desk() as stage:
        assert (await stage.http.post("/sessions", json={"subject": "x" * 4000})).status_code == 500
