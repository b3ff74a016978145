"""API7:2023, server-side request forgery: whatever address a stranger makes a service ask for, nothing within is asked.

A canary listens on this machine; every attack means to reach it, and it must hear nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol, final

import httpcore2
import pytest

from enfilade import App, Problem, anyone, command, contract
from enfilade.clock import SystemClock
from enfilade.config import Config, OutboundConfig
from enfilade.errors import Unavailable
from enfilade.outbound import Answered, Blocked, Http, Pinned, Reach
from enfilade.testing import Stage
from enfilade.trace.recorder import Recorder


class Canary:
    """Counts who comes; what it answers sends them on to itself."""

    def __init__(self) -> None:
        self.port = 0
        self.visits = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 15\r\n\r\n{"name": "root"}')
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    canary = Canary()
    server = await asyncio.start_server(canary.serve, "127.0.0.1", 0)
    canary.port = server.sockets[0].getsockname()[1]
    async with server:
        yield canary


HOSTS = """
    127.0.0.1 127.1 127.0.1 0x7f.1 0x7f.0.0.1 0x7f000001 2130706433 0177.0.0.1 0177.1 017700000001 00000177.0.0.1
    127.000.000.001 127.0.0.1. localhost LOCALHOST localhost. 0 0.0.0.0 00 0x0
    [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::127.0.0.1]
    [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [fe80::1%25lo]
    [fe80::1%lo] 127。0。0。1 127．0．0．1 127｡0｡0｡1 ①②⑦.⓪.⓪.① １２７.０.０.１ ١٢٧.0.0.1 ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ｌocalhost
    loc\u00adalhost user@127.0.0.1 user:word@127.0.0.1 public.example@127.0.0.1 127.0.0.1%00.public.example
    127.0.0.1%2523@ 169.254.169.254 [::ffff:169.254.169.254] [fd00:ec2::254] 2852039166 0xa9fea9fe
    metadata.google.internal 10.0.0.1 192.168.0.1 172.16.0.1 100.64.0.1 198.18.0.1 224.0.0.1 255.255.255.255
""".split()  # noqa: RUF001, SIM905  (letters that look like others are what is tried here)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_way_of_writing_an_address_within_reaches_it(canary: Canary, scheme: str, host: str) -> None:
    http = Http(Recorder(SystemClock(), service="test"), Reach(ports=[canary.port]))

    with pytest.raises((Blocked, Unavailable)):
        await http.read(f"{scheme}://{host}:{canary.port}/latest/meta-data/")
    assert canary.visits == 0
    await http.aclose()


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1:{}/", "gopher://127.0.0.1:{}/_GET", "dict://127.0.0.1:{}/", "unix:///run/x",
     "//127.0.0.1:{}/", "127.0.0.1:{}/", "", "http:/127.0.0.1:{}/", "http:127.0.0.1:{}/", "http:\\\\127.0.0.1:{}\\",
     "http://127.0.0.1:{}\\@public.example/", "http://public.example\\@127.0.0.1:{}/", "http://\t127.0.0.1:{}/",
     "http://127.0.0.1:{}\r\nhost: public.example", "http://public.example#@127.0.0.1:{}/", "jar:http://127.0.0.1:{}!/",
     "HTTP://127.0.0.1:{}/", "http://[127.0.0.1]:{}/", "http://127.0.0.1:+{}/", "http://public.example:80:{}@127.0.0.1/"],
)  # fmt: skip
async def test_no_other_scheme_or_shape_of_address_reaches_it(canary: Canary, url: str) -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        return [host] if host[0].isdigit() else []

    reach = Reach(ports=[80, canary.port])
    http = Http(Recorder(SystemClock(), service="test"), transport=Pinned(reach, resolve=nowhere))

    with pytest.raises((Blocked, Unavailable)):
        await http.read(url.format(canary.port))
    assert canary.visits == 0
    await http.aclose()


class Network(httpcore2.AsyncNetworkBackend):
    """Where public addresses lead to a server of ours, and those of this machine to themselves."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    async def connect_tcp(self, host: str, port: int, *rest: Any, **options: Any) -> Any:
        self.asked.append(host)
        within = host.startswith("127.")
        return await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", port if within else self.port)


class Flipping:
    """A name server that answers with a public address first, and with this machine's ever after."""

    def __init__(self) -> None:
        self.answers = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.answers += 1
        return ["93.184.216.34"] if self.answers == 1 else ["127.0.0.1"]


@pytest.fixture
async def public() -> AsyncIterator[Canary]:
    """A server that counts as public: `Network` leads there. It closes each connection."""
    public = Canary()
    server = await asyncio.start_server(public.serve, "127.0.0.1", 0)
    public.port = server.sockets[0].getsockname()[1]
    async with server:
        yield public


async def test_a_name_that_changes_its_address_after_the_check_leads_to_the_one_that_was_checked(
    canary: Canary, public: Canary
) -> None:
    network, resolve = Network(public.port), Flipping()
    pinned = Pinned(Reach(ports=[canary.port]), resolve=resolve, network=network)
    http = Http(Recorder(SystemClock(), service="test"), transport=pinned)

    await http.request("GET", f"http://rebind.example:{canary.port}/")
    assert (resolve.answers, network.asked) == (1, ["93.184.216.34"])

    for _ in range(3):  # each on a connection of its own, whose address is looked up anew
        with pytest.raises(Blocked):
            await http.request("GET", f"http://rebind.example:{canary.port}/")
    assert (public.visits, canary.visits) == (1, 0)
    await http.aclose()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_this_machine_is_not_followed(canary: Canary, status: int) -> None:
    async def away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        here = f"http://127.0.0.1:{canary.port}/"
        fields = f"location: {here}\r\nrefresh: 0; url={here}\r\nlink: <{here}>; rel=preload"
        writer.write(f"HTTP/1.1 {status} Away\r\n{fields}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(away, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        # The canary itself is open to this client, so that nothing but the redirect is what stops it.
        http = Http(Recorder(SystemClock(), service="test"), Reach(["127.0.0.1"]))
        with pytest.raises(Answered) as caught:
            await http.read(url)
        assert caught.value.status == status
        assert canary.visits == 0
        await http.aclose()


# -- the same through an app: a service that fetches what a stranger names, beside one that the operator placed within


class NotThere(Problem, status=422):
    """That address cannot be fetched."""


@contract(needs=anyone)
class Hooks(Protocol):
    @command("POST /hooks", raises=[NotThere])
    async def hook(self, url: str) -> str: ...


@contract(needs=anyone)
class Inner(Protocol):
    @command("POST /names")
    async def name(self) -> str: ...


@final
class HooksService(Hooks):
    http: Http

    def __init__(self, http: Http) -> None:
        self.http = http

    async def hook(self, url: str) -> str:
        try:
            return (await self.http.request("GET", url)).content.decode()
        except Blocked:
            raise NotThere from None


def app() -> App:
    made = App("hooks", services=[Hooks, Inner])
    made.service(Hooks).by(HooksService)
    return made


async def test_where_the_operator_placed_a_service_is_open_to_its_contract_and_to_no_strangers_address(
    canary: Canary,
) -> None:
    inner = f"http://127.0.0.1:{canary.port}"
    config = Config(data="sqlite::memory:", service={"inner": {"at": inner}})
    async with Stage(app(), config=config) as stage:
        answer = await stage.http.post("/hooks", json={"url": f"{inner}/names"})

        assert (answer.status_code, answer.json()["type"]) == (422, NotThere.type)
        assert str(canary.port) not in answer.text
        assert canary.visits == 0
        await stage.http.post("/names")
        assert canary.visits == 1


async def test_what_the_operator_opened_to_services_is_open(canary: Canary) -> None:
    outbound = OutboundConfig(allow=(f"127.0.0.1:{canary.port}",))
    config = Config(data="sqlite::memory:", outbound=outbound, service={"inner": {"at": "http://127.0.0.1:9"}})
    async with Stage(app(), config=config) as stage:
        await stage.http.post("/hooks", json={"url": f"http://127.0.0.1:{canary.port}/"})

    assert canary.visits == 1
