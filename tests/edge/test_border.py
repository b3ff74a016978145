"""The edge of an app: made of what the app says and of where its processes are, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from post.app import CORS, app
from post.parcels.contract import Parcels
from post.stamps.contract import Stamps

from enfilade import App
from enfilade.config import Config, TraceConfig
from enfilade.edge import Edge
from enfilade.endpoint import Cors, rest
from enfilade.errors import StartError
from enfilade.identity import Issuer
from enfilade.identity.keys import DEVELOPMENT
from enfilade.placement import Share, Way
from enfilade.plan.arrangement import Process
from enfilade.plan.border import Border, border_of, edge_of
from enfilade.plan.edge import Edge as Said
from enfilade.plan.layout import Layout

LAYOUT = Layout(name="x", processes={"front": Process(front=True)}, edge=Said(run="envoy:", variant="x-variant"))
SERVICES = ("provider", "staff", "parcels", "stamps")
SHARE = Share(
    process="edge",
    front=False,
    edge=True,
    at={name: (f"unix:/run/{name}.sock",) for name in (*SERVICES, "front", "next")},
    ways={name: (Way(process=name),) for name in SERVICES},
)


class Endpoint:
    """One of a user's own."""

    def serve(self, site: Any) -> Any:
        raise NotImplementedError


async def nothing(url: str) -> bytes:
    raise OSError(url)


@pytest.fixture
async def border(tmp_path: Any) -> Border:
    config = Config(folder=str(tmp_path), port=8080, trace=TraceConfig(otlp="http://127.0.0.1:4318", sample=0.5))
    return await border_of(app, config, LAYOUT, SHARE, nothing)


def to(edge: Edge, id: str) -> list[tuple[str, int]]:
    route = next(one for one in edge.routes if one.id == id)
    return [(one.upstream, one.weight) for one in route.to]


def test_each_service_is_asked_at_its_process_and_the_rest_at_the_front(border: Border) -> None:
    edge = edge_of(border, SHARE)

    assert to(edge, "parcels.send") == [("parcels", 10_000)]
    assert to(edge, "provider token") == [("provider", 10_000)]
    assert to(edge, "/openapi.json") == to(edge, "mount /old") == [("front", 1)]
    assert {one.name: one.at for one in edge.upstreams}["parcels"] == ("unix:/run/parcels.http.sock",)
    assert edge.keys == {"http://127.0.0.1:8080/jwks.json": "provider"}
    assert (edge.cors, edge.otlp, edge.sample) == (CORS, "http://127.0.0.1:4318", 0.5)
    assert edge.verified
    assert not edge.others


def test_equal_shares_have_equal_edges(border: Border) -> None:
    assert edge_of(border, SHARE) == edge_of(border, SHARE)


def test_a_variant_has_its_part_and_keeps_its_callers(border: Border) -> None:
    ways = {**SHARE.ways, "stamps": (Way(process="stamps", share=97.5), Way(process="next", share=2.5))}
    edge = edge_of(border, replace(SHARE, ways=ways))
    found = next(one for one in edge.routes if one.id == "stamps.stamp")

    assert to(edge, "stamps.stamp") == [("stamps", 9750), ("next", 250)]
    assert found.sticky
    assert [(one.upstream, one.header, one.value) for one in found.variants] == [
        ("stamps", "x-variant", "stamps"), ("next", "x-variant", "next"),
    ]  # fmt: skip
    assert to(edge, "parcels.send") == [("parcels", 10_000)]


def test_a_process_on_another_host_is_asked_by_the_front(border: Border) -> None:
    edge = edge_of(border, replace(SHARE, at={**SHARE.at, "stamps": ("https://10.0.0.2:7443",)}))

    assert to(edge, "stamps.stamp") == [("front", 1)]
    assert "stamps" not in {one.name for one in edge.upstreams}


def test_nobody_is_refused_for_having_no_token_who_may_be_known_by_a_cookie(border: Border) -> None:
    assert edge_of(border, replace(SHARE, sessions=True)).others


async def test_an_issuer_that_does_not_say_where_its_keys_are_is_asked(tmp_path: Any) -> None:
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return b'{"issuer": "https://id.example", "jwks_uri": "https://id.example/keys"}'

    config = Config(folder=str(tmp_path), issuers=(Issuer(url="https://id.example", audience="post"),))
    told = await border_of(app, config, LAYOUT, SHARE, fetch)
    silent = await border_of(app, config, LAYOUT, SHARE, nothing)

    assert {one.url: one.jwks_url for one in told.issuers}["https://id.example"] == "https://id.example/keys"
    assert asked == ["https://id.example/.well-known/openid-configuration"]
    assert edge_of(told, SHARE).verified
    assert not edge_of(silent, SHARE).verified
    assert DEVELOPMENT in {one.url for one in silent.issuers}


@pytest.mark.parametrize(
    ("endpoints", "said"),
    [
        ([rest("/a", cors=CORS), rest("/b", cors=Cors(origins=("*",)))], "tells all pages the same"),
        ([rest("/"), Endpoint()], "does not know the addresses of Endpoint"),
    ],
)
async def test_what_the_edge_cannot_know_is_a_mistake(tmp_path: Any, endpoints: Any, said: str) -> None:
    other = App("post", services=[Parcels, Stamps], endpoints=endpoints)
    share = replace(SHARE, ways={name: SHARE.ways[name] for name in ("parcels", "stamps")})
    border = await border_of(other, Config(folder=str(tmp_path)), LAYOUT, share, nothing)

    with pytest.raises(StartError, match=said):
        edge_of(border, share)
