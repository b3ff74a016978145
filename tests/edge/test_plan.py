"""The edge of a plan: who answers what, what services are told, what is not ours, and what happens when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from post.app import app
from post.pem import certificate

from enfilade.cli.edge import binary
from enfilade.cli.refused import Refused
from enfilade.config import load
from enfilade.errors import StartError
from enfilade.plan import Plan, plan_of
from enfilade.plan.shown import changes, lines

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_request_goes_straight_to_the_processes_of_its_service(arranged: Any) -> None:
    found = {(await arranged.outside.get("/stamps/s1")).json()["process"] for _ in range(20)}

    assert len(found) == 2
    assert found < {one.pid for one in arranged.family()}


async def test_what_a_service_asks_of_others_goes_on_inside(arranged: Any) -> None:
    assert (await arranged.outside.get("/stamps/of/p7")).json()["id"] == "p7"


async def test_the_description_is_of_all_services(arranged: Any) -> None:
    paths = (await arranged.outside.get("/openapi.json")).json()["paths"]

    assert {"/parcels/{id}", "/stamps/{id}"} < set(paths)
    assert (await arranged.outside.get("/docs")).status_code == 200
    assert (await arranged.outside.get("/.well-known/api-catalog")).status_code == 200


async def test_the_provider_is_asked_at_its_addresses(arranged: Any) -> None:
    url = str(arranged.outside.base_url).rstrip("/")
    said = (await arranged.outside.get("/.well-known/openid-configuration")).json()
    preflight = {"origin": "https://anywhere.example", "access-control-request-method": "POST"}

    assert said["issuer"] == url
    assert (await arranged.outside.get("/jwks.json")).json()["keys"]
    assert (await arranged.outside.get("/authorize")).status_code == 400
    asked = await arranged.outside.options("/token", headers=preflight)
    assert asked.headers["access-control-allow-origin"] == "*"
    asked = await arranged.outside.options("/token", headers={**preflight, "origin": "https://shop.example"})
    assert asked.headers.get_list("access-control-allow-origin") == ["*"]


async def test_nobody_outside_says_what_only_services_say(arranged: Any) -> None:
    said = {"enfilade-tenant": "acme", "x-enfilade-peer": "orders"}

    assert (await arranged.process.get("/stamps/said", headers=said)).json()["said"] == "acmeorders"
    assert (await arranged.outside.get("/stamps/said", headers=said)).json()["said"] == ""


async def test_what_is_mounted_is_told_who_asks(arranged: Any) -> None:
    said = {"x-forwarded-for": "10.1.2.3", "enfilade-edge-client": "10.1.2.4", "x-forwarded-proto": "https"}
    told = (await arranged.outside.post("/old/things?x=1", headers={**said, "authorization": "Basic x"})).json()

    assert told["path"] in ("/old/things", "/things")
    assert told["client"][0] == "127.0.0.1"
    assert told["scheme"] == "http"
    assert told["head"]["host"] == arranged.outside.base_url.netloc.decode()
    assert told["head"]["authorization"] == "Basic x"


async def test_what_is_not_known_reaches_no_service(arranged: Any) -> None:
    assert (await arranged.outside.get("/nobody/knows")).status_code == 404
    assert (await arranged.outside.delete("/stamps/s1")).status_code == 405
    assert (await arranged.outside.get("/metrics")).status_code == 404
    await arranged.until(r'"path":"/nobody/knows".*"why":"direct_response"')
    await arranged.until(r'"method":"DELETE".*"path":"/stamps/s1".*"why":"direct_response"')


async def test_a_quota_of_a_day_is_one_for_all_processes_of_a_service(arranged: Any) -> None:
    answers = [(await arranged.outside.get("/stamps/rare")) for _ in range(8)]

    assert [one.status_code for one in answers].count(200) == 3
    assert answers[-1].json()["type"] == "/problems/too-many-requests"


async def test_a_caller_may_ask_for_a_process(arranged: Any) -> None:
    assert (await arranged.outside.get("/stamps/s1", headers={"x-variant": "stamps"})).status_code == 200


async def test_what_is_not_ours_stands_behind_the_same_guards(arranged: Any, town: Any) -> None:
    knows = arranged.bearer(scopes=["legacy"])
    ask = arranged.outside.get

    assert (await ask("/legacy/a")).status_code == 401
    assert (await ask("/legacy/a", headers=arranged.bearer())).status_code == 403
    large = await arranged.outside.post("/legacy", headers=knows, content=b"x" * 2000)
    assert large.status_code == 413
    asked = await ask("/legacy/a?b=c", headers={**knows, "cookie": "c=d", "enfilade-tenant": "t"})
    assert asked.json()["path"] == "/before/a?b=c"
    assert not {"authorization", "cookie", "enfilade-tenant", "enfilade-edge-client"} & set(asked.json()["fields"])
    assert asked.json()["fields"]["host"] == town.first.address
    assert (await ask("/legacy", headers=knows)).json()["path"] == "/before"
    assert (await ask("/legacyx", headers=knows)).status_code == 404
    assert {(await ask("/legacy/a", headers=knows)).status_code for _ in range(8)} == {200, 429}


async def test_of_what_is_described_only_that_is_passed_on(arranged: Any) -> None:
    ask = arranged.outside.get

    assert (await ask("/partner/things/7")).json()["path"] == "/things/7"
    assert (await arranged.outside.post("/partner/things")).json()["method"] == "POST"
    assert (await ask("/partner/other")).status_code == 404
    assert (await ask("/partner")).status_code == 404
    assert (await arranged.outside.delete("/partner/things")).status_code == 405
    assert (await ask("/partner/things", headers={"authorization": "Bearer x.y.z"})).status_code == 401


async def test_envoy_asks_the_processes_that_there_are_now_and_no_request_is_lost(arranged: Any) -> None:
    found: Counter[int] = Counter()
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            found[(await arranged.outside.get("/stamps/s1")).status_code] += 1

    async def processes(many: int) -> set[int]:
        await arranged.command("scale", f"stamps={many}", "--app", "post.app:app")
        return {(await arranged.outside.get("/stamps/s1")).json()["process"] for _ in range(10 * many)}

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    one, two = await processes(1), await processes(2)
    over.set()
    await asyncio.gather(*asking)

    assert (len(one), len(two)) == (1, 2)
    assert set(found) == {200}


async def test_what_is_new_in_a_release_is_asked_of_those_that_know_it(arranged: Any, tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "post", tmp_path / "post")
    for name, old, new in (
        (
            "contract",
            "    @query(",
            '    @query("GET /stamps/{id}/worth")\n    async def worth(self, id: str) -> int: ...\n\n',
        ),
        ("service", "    async def rare", "    async def worth(self, id: str) -> int:\n        return 5\n\n"),
    ):
        file = tmp_path / "post" / "stamps" / f"{name}.py"
        file.write_text(file.read_text().replace(old, new + old, 1))
    found: list[tuple[int, int]] = []
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            answers = [await arranged.outside.get(path) for path in ("/stamps/s1", "/stamps/s1/worth")]
            found.append((answers[0].status_code, answers[1].status_code))

    envoy, asking = arranged.envoy(), asyncio.create_task(ask())
    trial = ("--from", str(tmp_path), "--steps", "50,100", "--watch", "1s")
    said = await arranged.command("release", "stamps", *trial, "--app", "post.app:app")
    over.set()
    await asking
    restarted = arranged.envoy() != envoy
    await arranged.command("rollback", "stamps", "--app", "post.app:app")

    assert "stamps.2 is in force" in said
    assert found == sorted(found, key=lambda one: one == (200, 200))
    assert {found[0], found[-1]} == {(200, 404), (200, 200)} == set(found)
    assert not restarted
    assert (await arranged.outside.get("/stamps/s1/worth")).status_code == 404


async def test_the_app_is_ready_when_all_its_processes_are(arranged: Any) -> None:
    parcels = next(one for one in arranged.family() if "--process parcels" in " ".join(one.cmdline()))
    try:
        parcels.suspend()
        told = await arranged.outside.get("/readyz")
        alive = await arranged.outside.get("/healthz")
    finally:
        parcels.resume()

    assert (told.status_code, told.json()["waiting"], alive.status_code) == (503, ["parcels"], 200)
    async with asyncio.timeout(60):
        while (await arranged.outside.get("/readyz")).status_code != 200:  # noqa: ASYNC110  (nothing tells us)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("which", ["envoy", "its process"])
async def test_one_that_is_killed_comes_back(arranged: Any, which: str) -> None:
    envoy = arranged.envoy()
    parent = envoy.ppid()
    os.kill(envoy.pid if which == "envoy" else parent, signal.SIGKILL)
    answer = None
    async with asyncio.timeout(60):
        while answer is None:
            with contextlib.suppress(httpx2.TransportError):
                answer = await arranged.outside.get("/stamps/s1")

    assert answer.status_code == 200
    assert envoy not in arranged.family()
    assert (arranged.envoy().ppid() == parent) is (which == "envoy")


async def test_an_edge_stands_before_one_process_and_leaves_nothing_behind(
    tmp_path_factory: pytest.TempPathFactory, arrange: Any
) -> None:
    tmp_path = tmp_path_factory.mktemp("one")  # a socket's path has to be short
    pair = certificate(tmp_path, "post")
    (tmp_path / "enfilade.toml").write_text('url = "https://post.example"')
    (tmp_path / "plan.toml").write_text(
        f'[one.edge]\nrun = "envoy:"\nlog = ""\ncertificate = "{pair.chain}"\nkey = "{pair.key}"\nhttp3 = true'
    )
    trusts = ssl.create_default_context(cafile=str(pair.chain))
    async with (
        arrange(tmp_path, "one") as (supervisor, url, lines),
        httpx2.AsyncClient(base_url=url, verify=trusts) as outside,
    ):
        found = [await outside.get(path) for path in ("/stamps/s1", "/readyz", "/jwks.json", "/old")]
        family = psutil.Process(supervisor.pid).children(recursive=True)
        supervisor.kill()

        assert [one.status_code for one in found] == [200] * 4
        assert url.startswith("https://")
        assert found[0].headers["alt-svc"].startswith("h3=")
        assert found[3].json()["scheme"] == "https"
        assert "envoy" in {one.name() for one in family}
        async with asyncio.timeout(60):
            while any(one.is_running() for one in family):  # noqa: ASYNC110  (nothing tells us)
                await asyncio.sleep(0.05)
        assert not any('"operation"' in line and line.startswith("edge") for line in lines)


# -- what is said at once


def plan(folder: Path, text: str, name: str) -> Plan:
    (folder / "plan.toml").write_text(text)
    return plan_of(app, name, folder / "plan.toml", lambda over: load(folder / "enfilade.toml", {}, over))


async def test_a_plan_says_what_its_edge_is_and_what_said_so(arranged: Any, tmp_path: Path) -> None:
    (tmp_path / "partner.json").write_text("{}")
    text = (arranged.folder / "plan.toml").read_text().replace('openapi = "partner.json"', "")
    edged = plan(tmp_path, text, "edged")
    shown = {" ".join(one.split()).replace(f"{tmp_path}/", "") for one in lines(edged, origin=True)}
    differs = {one["what"] for one in changes(plan(tmp_path, text, "split"), edged)}

    assert "edge run envoy: # plan.toml [edged.edge]" in shown
    assert "process edge Envoy # plan.toml [edged.edge]" in shown
    assert any(one.startswith("edge route legacy /legacy to http://127.0.0.1:") for one in shown)
    assert {"edge run", "edge threads", "edge route legacy", "edge route partner"} < differs


async def test_a_plan_is_told_all_that_is_wrong_with_its_edge(tmp_path: Path) -> None:
    text = """
        [wrong]
        extends = "split"
        [wrong.edge]
        run = "nginx:"
        http3 = true
        log = "nowhere/edge.log"
        [wrong.process.edge]
        replicas = 2
        [wrong.edge.route.a]
        path = "/a"
        to = "ftp://example"
        [wrong.edge.route.b]
        path = "/b"
        to = "https://example"
        rates = ["7/day"]
        [wrong.edge.route.c]
        path = "/c"
        to = ["https://one.example/a", "https://two.example/b"]
        [wrong.edge.route.d]
        path = "/d"
        to = "https://example"
        openapi = "nowhere.json"
        [mistyped]
        extends = "split"
        [mistyped.edge]
        runs = "envoy:"
        [mistyped.edge.route.a]
        path = "a"
        [gone]
        extends = "split"
        [gone.edge]
        run = "envoy:/nowhere/envoy"
        certificate = "nowhere.pem"
    """
    said: dict[str, str] = {}
    for name in ("wrong", "mistyped", "gone"):
        with pytest.raises(StartError) as raised:
            plan(tmp_path, text, name)
        said[name] = str(raised.value)

    for one in ("'nginx:' is no edge", "HTTP/3 is spoken with TLS only", "'ftp://example' is no address",
                "in no folder", "'7/day' is not counted at the edge", "nowhere.json", "are not alike",
                "Envoy, alone and nothing else"):  # fmt: skip
        assert one in said["wrong"]
    assert "plan.toml [wrong.edge.route.d]" in said["wrong"]
    assert "unknown field `runs`" in said["mistyped"]
    assert "plan.toml [mistyped.edge.route.a]" in said["mistyped"]
    for one in ("/nowhere/envoy is no program", "nowhere.pem cannot be read", "under what name", "are said together"):
        assert one in said["gone"]


async def test_a_port_that_is_taken_and_an_envoy_that_is_missing_are_told_before_anything_starts(
    tmp_path: Path, arrange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.toml").write_text('[one.edge]\nrun = "envoy:"')
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AssertionError) as raised:
        async with arrange(tmp_path, "one", "--port", str(taken.getsockname()[1])):
            pass

    assert "is taken: another program listens there" in str(raised.value)
    assert "is ready" not in str(raised.value)
    monkeypatch.setenv("ENFILADE_ENVOY", "/nowhere/envoy")
    with pytest.raises(Refused, match="/nowhere/envoy cannot be run"):
        binary("envoy:")
