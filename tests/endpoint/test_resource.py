"""Whom to ask for a token: the metadata of a protected resource, and the challenge that leads there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol, final

import pytest

from enfilade import App, Role, Scope, anyone, contract, peers, query
from enfilade.config import Config
from enfilade.endpoint import rest
from enfilade.identity import Issuer
from enfilade.testing import Stage

WELL_KNOWN = "/.well-known/oauth-protected-resource"
ISSUERS = tuple(Issuer(url=url, audience="shop") for url in ("https://id.example", "https://partner.example"))


@contract(needs=anyone)
class Books(Protocol):
    @query("GET /books")
    async def books(self) -> str: ...

    @query("GET /loans", needs=Scope("loans:read") & Role("reader"))
    async def loans(self) -> str: ...

    @query("GET /fines", needs=Scope("fines:read") | Scope("loans:read") | peers)
    async def fines(self) -> str: ...

    @query("GET /inner", needs=peers)
    async def inner(self) -> str: ...


@final
class BooksService(Books):
    async def books(self) -> str:
        return "books"

    async def loans(self) -> str:
        return "loans"

    async def fines(self) -> str:
        return "fines"

    async def inner(self) -> str:
        return "inner"


async def stage(prefix: str = "/", **settings: Any) -> Stage:
    app = App("library", services=[Books], endpoints=[rest(prefix)])
    app.service(Books).by(BooksService)
    return Stage(app, config=Config(data="sqlite::memory:", **{"issuers": ISSUERS, **settings}))


@pytest.fixture
async def library() -> AsyncIterator[Stage]:
    async with await stage() as it:
        yield it


async def test_the_metadata_names_those_who_give_tokens_and_the_scopes_there_are(library: Stage) -> None:
    answer = await library.http.get(WELL_KNOWN)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "resource": "http://app.test",
        "authorization_servers": ["https://id.example", "https://partner.example"],
        "scopes_supported": ["fines:read", "loans:read"],
        "bearer_methods_supported": ["header"],
        "resource_name": "library",
    }


async def test_a_challenge_leads_to_it(library: Stage) -> None:
    refused = await library.http.get("/loans")
    weak = await library.http.get("/loans", headers=library.acting("ann").headers)

    for answer in (refused, weak):
        assert answer.headers["www-authenticate"].endswith(f', resource_metadata="http://app.test{WELL_KNOWN}"')
    assert (refused.status_code, weak.status_code) == (401, 403)


async def test_an_api_below_a_path_is_a_resource_of_its_own_with_its_path_behind_the_well_known_one() -> None:
    async with await stage("/api") as library:
        answer = await library.http.get(f"{WELL_KNOWN}/api")
        refused = await library.http.get("/api/loans")

    assert answer.json()["resource"] == "http://app.test/api"
    assert f'resource_metadata="http://app.test{WELL_KNOWN}/api"' in refused.headers["www-authenticate"]


async def test_what_the_settings_say_it_is_called_comes_before_what_a_request_says() -> None:
    async with await stage(url="https://library.example/") as library:
        answer = await library.http.get(WELL_KNOWN, headers={"host": "evil.example"})
        refused = await library.http.get("/loans", headers={"host": "evil.example"})

    assert answer.json()["resource"] == "https://library.example"
    assert f'resource_metadata="https://library.example{WELL_KNOWN}"' in refused.headers["www-authenticate"]


@pytest.mark.parametrize("host", ['evil", error="x', "a b", "", "a/b", "user@a", "a\\b", "[::1", "a:b", "a:123456"])
async def test_a_host_that_is_none_gets_into_no_answer(library: Stage, host: str) -> None:
    answer = await library.http.get(WELL_KNOWN, headers={"host": host})
    refused = await library.http.get("/loans", headers={"host": host})

    assert answer.status_code == 400
    assert refused.headers["www-authenticate"] == 'Bearer realm="library"'


async def test_where_nobody_can_be_asked_for_a_token_the_challenge_says_nothing_of_it() -> None:
    async with await stage(issuers=()) as library:
        answer = await library.http.get(WELL_KNOWN)
        refused = await library.http.get("/loans")

    assert "authorization_servers" not in answer.json()
    assert refused.headers["www-authenticate"] == 'Bearer realm="library"'
