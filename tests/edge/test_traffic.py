"""Where requests go: shares, variants, copies; again after a failure; nothing that outsiders may say."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt

from enfilade import Scope, signed_in
from enfilade.edge import Mirror, Route, Share, Upstream, Variant
from enfilade.identity import DevelopmentIssuer, Issuer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def shares(first: int, second: int) -> tuple[Share, ...]:
    return Share(upstream="first", weight=first), Share(upstream="second", weight=second)


async def names(town: Any, many: int, path: str = "/split", **fields: str) -> Counter[str]:
    found = [(await town.outside.get(path, headers=fields)).json()["name"] for _ in range(many)]
    return Counter(found)


async def test_requests_are_shared_by_weight(town: Any) -> None:
    await town.serve(Route(id="split", path="/split", methods=("GET",), to=shares(80, 20)))

    found = await names(town, 300)

    assert 25 < found["second"] < 100


async def test_who_names_a_variant_gets_it(town: Any) -> None:
    variant = Variant(upstream="second", header="x-variant", value="next")
    await town.serve(Route(id="split", path="/split", methods=("GET",), to=shares(1, 0), variants=(variant,)))

    assert await names(town, 5, **{"x-variant": "next"}) == {"second": 5}
    assert await names(town, 5, **{"x-variant": "other"}) == {"first": 5}


async def test_a_caller_stays_with_his_share(town: Any) -> None:
    await town.serve(Route(id="split", path="/split", methods=("GET",), to=shares(50, 50), need=signed_in, sticky=True))

    found = [await names(town, 4, **town.bearer(f"u{number}")) for number in range(24)]

    assert all(len(one) == 1 for one in found)
    assert len({next(iter(one)) for one in found}) == 2


async def test_a_mirror_gets_a_marked_copy_and_answers_nobody(town: Any) -> None:
    mirror = Mirror(upstream="second", percent=100, fields={"enfilade-rehearsal": "yes"})
    await town.serve(Route(id="split", path="/split", to=shares(1, 0), mirrors=(mirror,)))

    found = await names(town, 10)
    async with asyncio.timeout(5):
        while len(town.second.seen) < 10:  # noqa: ASYNC110  (the copies are on their way)
            await asyncio.sleep(0.01)

    assert found == {"first": 10}
    assert {one["fields"].get("enfilade-rehearsal") for one in town.second.seen} == {"yes"}
    assert {one["fields"].get("enfilade-rehearsal") for one in town.first.seen} == {None}


async def test_what_only_services_may_say_is_taken_off(town: Any) -> None:
    await town.serve(Route(id="split", path="/split", to=shares(1, 0)))
    theirs = {
        "enfilade-caller": "root",
        "Enfilade-Tenant": "acme",
        "enfilade-peer": "orders",
        "enfilade-edge-caller": "root",
        "x-envoy-retry-on": "5xx",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-forwarded-client-cert": "Subject=root",
        "x_underscored": "1",
        "x-mine": "kept",
    }

    got = (await town.outside.get("/split", headers=theirs)).json()["fields"]

    assert not {name.lower() for name in theirs if name != "x-mine"} & set(got)
    assert got["x-mine"] == "kept"


async def test_the_address_of_a_client_is_what_he_came_from(town: Any) -> None:
    await town.serve(Route(id="split", path="/split", to=shares(1, 0)))

    got = (await town.outside.get("/split", headers={"x-forwarded-for": "10.9.8.7"})).json()["fields"]

    assert got["x-forwarded-for"].partition(",")[0] == "10.9.8.7"
    assert got["x-forwarded-for"].count(",") == 1
    assert got["x-forwarded-proto"] == "http"


async def test_a_trace_goes_on_through_the_edge(town: Any) -> None:
    await town.serve(Route(id="split", path="/split", to=shares(1, 0)))
    trace = "0af7651916cd43dd8448eb211c80319c"

    got = (await town.outside.get("/split", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})).json()

    assert got["fields"]["traceparent"].split("-")[1] == trace


async def test_a_query_is_asked_again_and_a_command_is_not(town: Any) -> None:
    town.first.broken = True
    both = replace(town.edge.upstreams[1], name="both", at=(town.first.address, town.second.address), probe="")
    await town.serve(
        Route(id="ask", path="/ask", methods=("GET",), to=(Share(upstream="both"),), repeatable=True),
        Route(id="do", path="/do", methods=("POST",), to=(Share(upstream="both"),)),
        upstreams=(*town.edge.upstreams, both),
    )

    asked = Counter([(await town.outside.get("/ask")).status_code for _ in range(10)])
    seen = len(town.first.seen) + len(town.second.seen)
    done = Counter([(await town.outside.post("/do")).status_code for _ in range(10)])

    assert asked == {200: 10}
    assert set(done) <= {200, 503}
    assert len(town.first.seen) + len(town.second.seen) - seen == 10


async def test_of_too_many_at_once_the_rest_is_told_to_come_again(town: Any) -> None:
    town.first.delay = 0.3
    small = replace(town.edge.upstreams[1], name="small", requests=2)
    route = Route(id="small", path="/small", methods=("GET",), to=(Share(upstream="small"),))
    await town.serve(route, upstreams=(*town.edge.upstreams, small))

    found = await asyncio.gather(*(town.outside.get("/small") for _ in range(12)))

    refused = [one for one in found if one.status_code == 503]
    assert len(refused) >= 6
    assert {one.json()["type"] for one in refused} == {"/problems/overloaded"}
    assert {one.headers["retry-after"] for one in refused} == {"1"}


async def test_of_several_processes_a_dead_one_is_left_out(town: Any) -> None:
    dead = Upstream(name="three", at=(town.first.address, "127.0.0.1:1", town.second.address), probe="")
    route = Route(id="three", path="/three", methods=("POST",), to=(Share(upstream="three"),))
    await town.serve(route, upstreams=(*town.edge.upstreams, dead))

    found = Counter([(await town.outside.post("/three")).status_code for _ in range(40)])
    ejected = await town.gateway.admin.numbers(r"cluster\.three\.outlier_detection\.ejections_active")

    assert found == {200: 40}
    assert sum(ejected.values()) == 1


async def test_nobody_there_is_unavailable(town: Any) -> None:
    nobody = Upstream(name="nobody", at=("127.0.0.1:1",))
    route = Route(id="nobody", path="/nobody", to=(Share(upstream="nobody"),))
    await town.serve(route, upstreams=(*town.edge.upstreams, nobody))

    answer = await town.outside.get("/nobody")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_who_is_too_slow_is_given_up(town: Any) -> None:
    town.first.delay = 5.0
    await town.serve(Route(id="late", path="/late", to=shares(1, 0), timeout=0.2))

    answer = await town.outside.get("/late")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_of_one_that_hangs_nothing_more_is_asked(town: Any, tmp_path: Path) -> None:
    asked = 0

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while line := await reader.readline():
            asked += line.startswith(b"GET /hung")
        writer.close()

    server = await asyncio.start_unix_server(take, tmp_path / "hung.sock")
    upstream = Upstream(name="hung", at=(f"unix:{tmp_path}/hung.sock",), probe="/healthz")
    route = Route(id="hung", path="/hung", to=(Share(upstream="hung"),), timeout=60.0)
    await town.serve(route, upstreams=(*town.edge.upstreams, upstream))

    async with asyncio.timeout(60):  # a second call would take as long
        answer = await town.outside.get("/hung")
    server.close()

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert (answer.headers["retry-after"], asked) == ("1", 0)


async def test_one_that_starts_again_is_waited_for(town: Any, tmp_path: Path) -> None:
    path = tmp_path / "again.sock"

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def refused() -> float:
        return sum((await town.gateway.admin.numbers(r"cluster\.again\.upstream_rq_retry$")).values())

    upstream = Upstream(name="again", at=(f"unix:{path}",))
    route = Route(id="again", path="/again", methods=("POST",), to=(Share(upstream="again"),))
    server = await asyncio.start_unix_server(once, path)
    await town.serve(route, upstreams=(*town.edge.upstreams, upstream))
    assert (await town.outside.post("/again")).status_code == 200

    server.close()
    path.unlink()
    waiting = [asyncio.create_task(town.outside.post("/again")) for _ in range(8)]
    async with asyncio.timeout(60):
        while await refused() < 8:  # noqa: ASYNC110  (Envoy has to be asked)
            await asyncio.sleep(0.01)
    server = await asyncio.start_unix_server(once, path)
    found = {(await one).status_code for one in waiting}
    server.close()

    assert found == {200}


async def test_an_upstream_that_is_not_ours_has_the_same_guards_and_no_tokens(town: Any) -> None:
    foreign = Upstream(name="legacy", at=(f"http://localhost:{town.first.address.partition(':')[2]}/",), foreign=True)
    route = Route(
        id="legacy", path="/legacy", below=True, rewrite="/old", to=(Share(upstream="legacy"),), need=Scope("legacy")
    )  # fmt: skip
    await town.serve(route, upstreams=(*town.edge.upstreams, foreign))

    nobody = await town.outside.get("/legacy/a/b?c=1")
    other = await town.outside.get("/legacy/a/b", headers=town.bearer())
    fields = {**town.bearer(scopes=["legacy"]), "cookie": "session=1"}
    answer = await town.outside.get("/legacy/a/b?c=1", headers=fields)
    below = await town.outside.get("/legacy/x/../../parcels/p1")

    assert (nobody.status_code, other.status_code, answer.status_code) == (401, 403, 200)
    assert answer.json()["path"] == "/old/a/b?c=1"
    assert answer.json()["fields"]["host"].startswith("localhost")
    assert not [name for name in answer.json()["fields"] if name in ("authorization", "cookie") or "enfilade" in name]
    assert below.json()["id"] == "p1"


async def test_who_may_be_known_otherwise_is_not_refused_for_having_no_token(town: Any) -> None:
    await town.serve(Route(id="keyed", path="/keyed", to=shares(1, 0), need=Scope("a")), others=True)

    found = [
        (await town.outside.get("/keyed", headers=fields)).status_code
        for fields in ({"x-api-key": "k"}, town.bearer(), town.bearer(scopes=["a"]), {"authorization": "Bearer x.y.z"})
    ]

    assert found == [200, 403, 200, 401]


async def test_a_token_that_cannot_be_checked_here_is_left_to_the_service(town: Any) -> None:
    later = Issuer(url="https://later.example", audience="x")
    route = Route(id="left", path="/left", to=shares(1, 0), need=Scope("a"))
    await town.serve(route, issuers=(town.issuer, later))

    found = [
        (await town.outside.get("/left", headers=fields)).status_code
        for fields in ({"authorization": "Bearer x.y.z"}, town.bearer(), town.bearer(scopes=["a"]))
    ]

    assert found == [200, 403, 200]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"scope": "b a"}, 200), ({"scp": "a"}, 200), ({"scope": "b", "scp": "a"}, 200), ({"scope": "aa ba"}, 403),
        ({"scope": "b", "scp": "c"}, 403), ({"scp": ["b"]}, 200), ({"scope": "b", "scp": ["b"]}, 200),
    ],
)  # fmt: skip
async def test_words_of_scopes_are_read_and_a_list_is_left_to_the_service(town: Any, said: Any, status: int) -> None:
    await town.serve(Route(id="read", path="/read", to=shares(1, 0), need=Scope("a")))
    key = DevelopmentIssuer(town.folder / "app", "parcels")
    middle = town.bearer()["authorization"].split(".")[1]
    claims = {**json.loads(base64.urlsafe_b64decode(f"{middle}==")), **said}
    token = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key.key, algorithms=["ES256"])

    answer = await town.outside.get("/read", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == status
    assert status != 200 or "enfilade-edge-scopes" not in answer.json()["fields"]


async def test_its_numbers_are_few_and_told_to_prometheus(town: Any) -> None:
    await town.outside.get("/nowhere")

    told = await town.gateway.admin.prometheus()

    assert "envoy_http_downstream_rq_total" in told
    assert len(told.splitlines()) < 1000


@pytest.mark.parametrize("path", ["/parcels%2Fp1", "/parcels/..%2fp1", "/parcels%5cp1"])
async def test_a_hidden_slash_is_refused(town: Any, path: str) -> None:
    answer = await town.outside.get(path)

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed")


async def test_the_log_has_a_line_for_each_request_and_no_secret(town: Any) -> None:
    token = town.bearer("zoe")
    answer = await town.outside.get("/parcels?secret=word", headers=token)
    refused = await town.outside.get("/nowhere?secret=word")
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(15):
        while not {"zoe", refused.headers["trace-id"]} <= {str(v) for one in lines for v in one.values()}:
            await asyncio.sleep(0.1)
            lines = town.lines()

    line = next(one for one in lines if one.get("caller") == "zoe")
    assert answer.status_code == 422
    assert (line["operation"], line["status"], line["path"]) == ("parcels.mine", 422, "/parcels")
    assert "word" not in str(lines)
    assert token["authorization"] not in str(lines)


async def test_spans_and_the_log_go_to_a_collector(town: Any) -> None:
    await town.serve(otlp=f"http://{town.first.address}", otlp_log=True, sample=1.0)

    async with httpx2.AsyncClient(base_url=town.outside.base_url) as fresh:  # who is connected is served as before
        await fresh.get("/parcels/p1")

    async with asyncio.timeout(30):
        while {"/v1/traces", "/v1/logs"} - {one["path"] for one in town.first.seen}:  # noqa: ASYNC110  (told in time)
            await asyncio.sleep(0.05)
