"""API9:2023, improper inventory management: what is served is what is written down, and nothing beside it.

Three lists have to be one: the routes that an app really has, those of its contracts, and those that its description
names. What the platform adds of its own is held here, and has to stand in its documentation.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TypeAlias, final

import psutil
import pytest

from enfilade import App, Deprecated, Message, Problem, anyone, command, contract, peers, query
from enfilade.contract.need import outside
from enfilade.contract.read import read
from enfilade.endpoint import openid, rest
from enfilade.identity.apikeys import ApiKeys
from enfilade.identity.provider import Provider
from enfilade.identity.users import Users
from enfilade.testing import Stage
from shop.access import stage as with_stand_ins
from shop.app import app as shop_app

Wired: TypeAlias = Any
Listed: TypeAlias = set[tuple[str, str]]

DOCS = Path(__file__).parents[2] / "docs"
PLATFORM = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/.well-known/api-catalog",
    "/.well-known/oauth-protected-resource",
}
"""What every app answers besides its contracts."""
PROVIDER = {
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/jwks.json",
    "/authorize",
    "/sign-in",
    "/consent",
    "/token",
    "/userinfo",
    "/introspect",
    "/revoke",
    "/register",
    "/device_authorization",
    "/device",
    "/logout",
}
"""What an app answers that has a provider of its own."""


class Gone(Problem, status=410):
    """It is not there any more."""


class Paper(Message):
    id: str


@contract(owner="records", version=2)
class Papers(Protocol):
    @query("GET /v2/papers/{id}", needs=anyone)
    async def paper(self, id: str) -> Paper: ...

    @query(
        "GET /papers/{id}",
        needs=anyone,
        raises=[Gone],
        deprecated=Deprecated(since=date(2026, 1, 1), sunset=date(2026, 12, 31), successor="/v2/papers/{id}"),
    )
    async def old_paper(self, id: str) -> Paper: ...

    @command(needs=peers)
    async def shred(self, id: str) -> None: ...

    @query("GET /inner", needs=peers)
    async def inner(self) -> Paper: ...


@final
class PapersService(Papers):
    async def paper(self, id: str) -> Paper:
        return Paper(id=id)

    async def old_paper(self, id: str) -> Paper:
        if id == "gone":
            raise Gone
        return Paper(id=id)

    async def shred(self, id: str) -> None: ...

    async def inner(self) -> Paper:
        return Paper(id="1")

    async def get_everything(self) -> tuple[Paper, ...]:
        """Public to Python, and in no contract."""
        return ()

    async def debug(self, code: str) -> str:
        return code


def app(**options: Any) -> App:
    made = App("papers", services=[Papers], endpoints=[rest("/", **options), openid()])
    made.service(Papers).by(PapersService)
    return made


def served(stage: Stage) -> Listed:
    """Methods and paths that endpoints have, but for those that every path has."""
    found: Listed = set()
    for one in stage.running.served:
        routes = _routes(one)
        if isinstance(routes, dict):
            found |= set(routes)
        else:
            found |= {(method, place.path) for place in routes.places() for method in place.methods}
    return {(method, _form(path)) for method, path in found if method not in ("HEAD", "OPTIONS")}


def _routes(one: Any) -> Any:
    return one._routes


def written(stage: Stage) -> Listed:
    """The same by the contracts."""
    contracts = [placed.contract for placed in stage.running.placement.services.values()]
    every = [one for each in contracts for one in each.operations]
    return {(one.method, _form(one.path)) for one in every if one.path and outside(one.needs) is not None}


def described(document: Any) -> Listed:
    return {(method.upper(), _form(path)) for path, methods in document["paths"].items() for method in methods}


def _form(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def shop(*more: Any) -> Stage:
    services = [one for one in (*shop_app.services, *more) if one is not Provider]
    made = App("shop", services=services)
    made.builders, made.provided = dict(shop_app.builders), dict(shop_app.provided)
    return with_stand_ins(made)


@pytest.mark.parametrize("which", ["the shop", "papers"])
async def test_what_is_served_is_written_in_a_contract_and_described(which: str) -> None:
    async with shop(ApiKeys) if which == "the shop" else Stage(app()) as stage:
        document = (await stage.http.get("/openapi.json")).json()
        own = served(stage) - {("GET", path) for path in PLATFORM}

        assert own == written(stage) == described(document)
        assert len(own) > 1
        # and nothing of the platform's is among what a contract may say, or missing
        assert {path for _, path in served(stage) - own} == PLATFORM


async def test_every_address_is_known_by_a_contract_with_an_owner_and_a_version() -> None:
    async with shop(ApiKeys) as stage:
        document = (await stage.http.get("/openapi.json")).json()
        owners = {placed.contract.name: placed.contract for placed in stage.running.placement.services.values()}
        for methods in document["paths"].values():
            for one in methods.values():
                (service,) = one["tags"]

                assert one["x-enfilade-owner"] == owners[service].owner != ""
                assert owners[service].version >= 1
        for tag in document["tags"]:
            assert (tag["x-enfilade-owner"], tag["x-enfilade-version"]) == (
                owners[tag["name"]].owner,
                owners[tag["name"]].version,
            )


async def test_the_provider_has_the_addresses_that_are_documented() -> None:
    made = App("papers", services=[Papers, Provider, Users])
    made.service(Papers).by(PapersService)
    async with Stage(made) as stage:
        (provider,) = [one for one in stage.running.served if isinstance(_routes(one), dict)]
        found = {path for _, path in _routes(provider)}

        assert found == PROVIDER
        page = (DOCS / "provider.md").read_text("utf-8")
        assert [path for path in sorted(found) if path not in page] == []


def test_the_platforms_own_addresses_are_documented() -> None:
    page = (DOCS / "rest.md").read_text("utf-8")

    assert [path for path in sorted(PLATFORM) if f"`{path}`" not in page] == []


async def test_an_app_without_descriptions_has_three_addresses_less() -> None:
    async with Stage(app(docs=False)) as stage:
        assert {path for _, path in served(stage) - written(stage)} == PLATFORM - {
            "/openapi.json",
            "/docs",
            "/.well-known/api-catalog",
        }


# -- what was planted


async def test_what_stands_in_no_contract_is_not_served() -> None:
    async with Stage(app()) as stage:
        for name in ("get_everything", "get-everything", "debug", "shred", "inner"):
            for path in (f"/{name}", f"/papers/{name}/x", f"/papers.{name}", f"/v2/{name}", f"/v1/papers/{name}"):
                for method in ("GET", "POST", "PUT", "DELETE"):
                    answer = await stage.http.request(method, path, json={})

                    assert answer.status_code == 404, (method, path)
        with pytest.raises(AttributeError):
            stage.nobody.of(Papers).get_everything()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def test_an_older_version_is_not_served_unless_its_contract_says_so() -> None:
    async with Stage(app()) as stage:
        for version in ("v0", "v1", "v3", "V2", "v02", "v2.0", "beta", "internal", "old"):
            assert (await stage.http.get(f"/{version}/papers/1")).status_code == 404
        assert (await stage.http.get("/v2/papers/1")).status_code == 200
        for version in ("1", "1.0", "2"):  # nor by a field, or a parameter
            headers = {"accept-version": version, "x-api-version": version, "api-version": version}
            assert (await stage.http.get("/v2/papers/1", headers=headers)).headers.get("deprecation") is None
        assert (await stage.http.get("/v2/papers/1?version=1")).status_code == 422


async def test_an_app_opens_one_port_and_no_other(wire: Any, tmp_path: Path) -> None:
    def ports() -> set[int]:
        listening = psutil.Process().net_connections("inet")
        return {one.laddr.port for one in listening if one.status == psutil.CONN_LISTEN}

    before = ports()
    async with wire(app(), tmp_path) as wired:
        assert ports() - before == {int(wired.url.rpartition(":")[2])}
    assert ports() <= before


# -- what will go


@pytest.mark.parametrize(("path", "status"), [("/papers/1", 200), ("/papers/gone", 410)])
async def test_what_will_go_says_so_in_each_answer(wire: Any, tmp_path: Path, path: str, status: int) -> None:
    async with wire(app(), tmp_path) as wired:
        got = await wired.ask("GET", path)

    assert got.status == status
    assert got.headers["deprecation"] == "@1767225600"
    assert got.headers["sunset"] == "Thu, 31 Dec 2026 00:00:00 GMT"
    assert got.headers["link"].startswith("</v2/papers/{id}>") or "successor-version" in got.headers["link"]


async def test_what_will_go_is_described_so_and_what_stays_is_not() -> None:
    async with Stage(app()) as stage:
        paths = (await stage.http.get("/openapi.json")).json()["paths"]
        answer = await stage.http.get("/v2/papers/1")

    assert paths["/papers/{id}"]["get"]["deprecated"] is True
    assert paths["/papers/{id}"]["get"]["x-enfilade-sunset"] == "2026-12-31"
    assert "deprecated" not in paths["/v2/papers/{id}"]["get"]
    assert not {"deprecation", "sunset"} & set(answer.headers)


async def test_who_still_uses_what_will_go_can_be_seen() -> None:
    """By its own name in the numbers: an operation that nobody calls any more can be taken away."""
    async with Stage(app()) as stage:
        await stage.http.get("/papers/1")
        numbers = (await stage.http.get("/metrics")).text

    assert re.search(r'enfilade_calls_total\{[^}]*operation="papers\.old_paper"[^}]*\} 1', numbers)
    assert 'operation="papers.paper"' not in numbers or re.search(r'operation="papers\.paper"[^}]*\} 0', numbers)


@pytest.mark.parametrize("kind", [*shop_app.services, ApiKeys, Provider, Users], ids=lambda one: one.__name__)
def test_each_contract_says_who_owns_it(kind: type) -> None:
    said = read(kind)

    assert said.owner
    assert said.version >= 1
