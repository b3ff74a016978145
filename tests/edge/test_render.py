"""What is rendered: taken by Envoy without a warning, in the right order, from contracts and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from enfilade import Rate, Role, Scope, peers, signed_in
from enfilade.contract.need import any_tenant
from enfilade.contract.read import read
from enfilade.edge import Edge, Listen, Mirror, Route, Share, Upstream, Variant, render, routes, validate
from enfilade.edge.who import caller_needed
from enfilade.errors import StartError
from enfilade.identity import Issuer
from enfilade.identity.issuer import Claims

KEY = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
       "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "kid": "k"}  # fmt: skip
ISSUERS = (
    Issuer(url="https://id.example", audience="shop", keys=(KEY,)),
    Issuer(url="https://sso.example/realms/a", audience="shop", jwks_url="https://sso.example/keys", tenant="a",
           claims=Claims(roles=("realm_access.roles", "https://shop/roles"), client=("azp",))),
    Issuer(url="https://later.example", audience=("a", "b")),
    Issuer(url="https://new.example", audience="shop", keys=(KEY,), algorithms=("Ed25519",)),
)  # fmt: skip


class AnyOrigin:
    origins = ("*",)
    credentials = False
    max_age = 60


def everything(folder: Path) -> Edge:
    """An edge that uses all there is."""
    shares = (Share(upstream="one", weight=9), Share(upstream="two"))
    rates = (
        Rate("5/minute", burst=2), Rate("100/10s", per="tenant"), Rate("9/minute", per="client", cost=3),
        Rate("9/minute", per="address", name="n"), Rate("1000/m", per="everyone"), Rate("9/day"),
        Rate("9/m", plan=True),
    )  # fmt: skip
    some = Route(id="some", path="/a/{b}/c-{d}", to=shares, methods=("GET", "POST"), rates=rates, service="s", body=10)
    return Edge(
        name="shop",
        listen=(Listen(port=1), Listen(port=2, host="::1")),
        upstreams=(
            Upstream(name="one", at=("unix:/tmp/a.sock", "unix:/tmp/b.sock")),
            Upstream(name="two", at=("10.0.0.1:80", "[::1]:81")),
            Upstream(name="far", at=("https://psp.example/x",), foreign=True, san="spiffe://x/y"),
        ),
        routes=(
            replace(some, need=(Role("r") | Scope("a.b:c")) & any_tenant, sticky=True),
            replace(some, id="far", path="/far", below=True, to=(*shares, Share(upstream="far")), rewrite="/"),
            replace(some, id="mirrored", path="/m", mirrors=(Mirror(upstream="far", percent=0.5, fields={"x": "1"}),),
                    variants=(Variant(upstream="far", header="v", value="1"),), idle=3, lasting=9, need=signed_in),
            Route(id="root", path="/", to=shares, need=None),
        ),
        issuers=ISSUERS,
        cors=AnyOrigin(),
        resource="/api",
        gateways=3,
        hops=1,
        log=folder / "log",
        otlp="https://otlp.example:4318",
        otlp_log=True,
        sample=0.5,
    )  # fmt: skip


@pytest.mark.parametrize("others", [False, True])
async def test_all_there_is_is_taken_without_a_warning(tmp_path: Path, others: bool) -> None:
    said = await validate(replace(everything(tmp_path), others=others))

    assert "deprecated" not in said.lower()
    assert "work-in-progress" not in said.lower()
    assert "unknown" not in said.lower()


async def test_with_nothing_said_it_is_taken_as_well() -> None:
    await validate(Edge(name="none", listen=(), upstreams=(), routes=()))


def test_equal_edges_are_rendered_alike(tmp_path: Path) -> None:
    assert render(everything(tmp_path), tmp_path) == render(everything(tmp_path), tmp_path)


def test_nothing_is_written_before_what_it_speaks_of(tmp_path: Path) -> None:
    names = list(render(everything(tmp_path), tmp_path))

    assert names.index("clusters.json") < names.index("routes.json") < names.index("listeners.json")
    assert names[-1] == "bootstrap.json"


def test_named_segments_come_before_placeholders(tmp_path: Path) -> None:
    to = (Share(upstream="u"),)
    paths = ["/{a}/x", "/a/{b}", "/a/b", "/{a}/{b}", "/{a}/b/c", "/a/{b}/c", "/{a}"]
    upstream = Upstream(name="u", at=("unix:/u",))
    below = Route(id="/a/**", path="/a", below=True, to=to)
    listed = (below, *(Route(id=path, path=path, to=to) for path in paths))
    edge = Edge(name="x", listen=(), upstreams=(upstream,), routes=listed)

    table = msgspec.json.decode(render(replace(edge, listen=(Listen(port=1),)), tmp_path)["routes.json"])
    found = [one["name"] for one in table["resources"][0]["virtual_hosts"][0]["routes"] if "name" in one]

    assert [one for one in found if one.count("/") == 2 and "**" not in one] == ["/a/b", "/a/{b}", "/{a}/x", "/{a}/{b}"]
    assert [one for one in found if one.count("/") == 3] == ["/a/{b}/c", "/{a}/b/c"]
    assert found[-1] == "/a/**"


def test_what_only_peers_may_call_has_no_route(town_contract: Any) -> None:
    found = routes(read(town_contract), "u", prefix="/api")

    assert "parcels.inside" not in {one.id for one in found}
    assert {one.path.partition("/parcels")[0] for one in found if "parcels" in one.path} == {"/api"}


def test_what_a_contract_says_is_what_a_route_holds(town_contract: Any) -> None:
    found = {one.id: one for one in routes(read(town_contract), "u")}

    assert (found["parcels.send"].body, found["parcels.send"].repeatable) == (2000, False)
    assert (found["parcels.label"].body, found["parcels.parcel"].repeatable) == (0, True)
    assert (found["parcels.way"].idle > 30, found["parcels.way"].lasting) == (True, 11.0)
    assert found["parcels.slow"].timeout == 1.2


def test_a_caller_is_needed_where_nobody_meets_the_need() -> None:
    assert caller_needed(Scope("a") & peers)
    assert caller_needed(Scope("a") | Role("b"))
    assert not caller_needed(Scope("a") | peers)
    assert not caller_needed(any_tenant)


def test_all_mistakes_are_told_at_once() -> None:
    to = (Share(upstream="nowhere", weight=0),)
    twice = Upstream(name="u", at=("unix:/u",))

    with pytest.raises(StartError) as raised:
        Edge(
            name="x",
            listen=(Listen(port=1, http3=True),),
            upstreams=(twice, twice, Upstream(name="v", at=())),
            routes=(Route(id="r", path="/r", to=to),),
        )

    said = str(raised.value)
    for one in ("two upstreams", "nowhere", "no weight", "HTTP/3", "nowhere"):
        assert one in said
