"""API8:2023, security misconfiguration: what is unsafe does not start, and what runs tells a stranger nothing.

The shop is served as outside development; each status that it has is asked for, and all that comes back is searched.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias, final

import msgspec
import pytest

from enfilade import App, Message, anyone, command, contract, peers, query, signed_in
from enfilade.config import Config
from enfilade.endpoint import Cors, rest
from enfilade.errors import StartError, Unavailable
from enfilade.identity import Issuer

Wired: TypeAlias = Any

CANARY = "canary-7f3a"
LEAKS = re.compile(
    r"Traceback|\.py\b|site-packages|File \"|line \d+|enfilade[./_]|\bself\b|Error\(|object at 0x|0x[0-9a-f]{6}|/tmp/"
    r"|/home/|/usr/|\bSELECT\b|\bINSERT\b|sqlite|sqlstate|psycopg|asyncpg|msgspec|uvicorn|httptools|Python/|\bStruct\b"
    r"|DoorService|RowError|OperationalError|IntegrityError",
    re.IGNORECASE,
)
"""Where and in what an answer was made."""


class Paper(Message):
    id: str
    text: str


@contract(owner="records", version=1)
class Papers(Protocol):
    @query("GET /papers/{id}", needs=anyone)
    async def paper(self, id: str) -> Paper: ...

    @query("GET /mine", needs=signed_in)
    async def mine(self) -> Paper: ...

    @command("POST /papers", needs=anyone, body="1KiB", timeout=1.0)
    async def write(self, text: str, number: int = 0) -> Paper: ...

    @query("GET /bug", needs=anyone)
    async def bug(self, how: str = "") -> Paper: ...

    @query("GET /slow", needs=anyone, timeout=0.05)
    async def slow(self) -> Paper: ...

    @query("GET /inner", needs=peers)
    async def inner(self) -> Paper: ...

    @query(needs=peers)
    async def innermost(self, canary_argument: str) -> Paper: ...


class CanaryError(Exception):
    """A bug, with what bugs have in them."""


@final
class PapersService(Papers):
    async def paper(self, id: str) -> Paper:
        return Paper(id=id, text="t")

    async def mine(self) -> Paper:
        return Paper(id="1", text="t")

    async def write(self, text: str, number: int = 0) -> Paper:
        return Paper(id=str(number), text=text)

    async def bug(self, how: str = "") -> Paper:
        match how:
            case "value":
                raise ValueError(f"SELECT * FROM {CANARY} at {__file__}")
            case "chain":
                try:
                    raise KeyError(CANARY)
                except KeyError as lost:
                    raise CanaryError(CANARY) from lost
            case "group":
                raise ExceptionGroup(CANARY, [ValueError(CANARY)])
            case "unavailable":
                raise Unavailable(f"postgresql://root:{CANARY}@db.internal:5432 did not answer")
            case "wrong":
                return {"id": CANARY}  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
            case "nothing":
                return None  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
            case _:
                raise RuntimeError

    async def slow(self) -> Paper:
        await asyncio.sleep(5)
        return Paper(id="1", text="t")

    async def inner(self) -> Paper:
        return Paper(id="1", text="t")

    async def innermost(self, canary_argument: str) -> Paper:
        return Paper(id="1", text="t")


def app(**options: Any) -> App:
    made = App("papers", services=[Papers], endpoints=[rest("/", **options)])
    made.service(Papers).by(PapersService)
    return made


# -- what does not start


SECRET = secrets.token_hex(32)


@pytest.mark.parametrize(
    "said",
    [
        "", "short", "...", "x" * 31, " " * 40, "0" * 64, "secret" * 8, "changeme" * 4, "password" * 6, "0123456" * 8,
    ],
)  # fmt: skip
async def test_without_a_secret_of_its_own_nothing_is_served(tmp_path: Path, said: str) -> None:
    made = app()
    made.config = Config(development=False, folder=str(tmp_path), data="sqlite::memory:", secret=said)
    with pytest.raises(StartError, match="needs a secret") as refused:
        async with made.running():
            pass

    assert "ENFILADE_SECRET" in str(refused.value)
    assert len(said) < 4 or said not in str(refused.value)


@pytest.mark.parametrize(
    "said",
    [
        {"url": "http://id.example", "audience": "shop"},
        {"url": "http://id.example", "audience": "shop", "jwks_url": "http://id.example/jwks"},
        {"url": "https://id.example", "audience": ""},
        {"url": "https://id.example", "audience": []},
        {"url": "https://id.example", "audience": ["shop", ""]},
        {"url": "https://id.example"},
        {"url": "", "audience": "shop"},
        {"url": "https://id.example", "audience": "shop", "algorithms": ["none"]},
        {"url": "https://id.example", "audience": "shop", "algorithms": ["HS256"]},
        {"url": "https://id.example", "audience": "shop", "algorithms": []},
        {"url": "https://id.example", "audience": "shop", "types": []},
        {"url": "https://id.example", "audience": "shop", "skew": 3600},
        {"url": "https://id.example", "audience": "shop", "verify": False},
        {"url": "file:///etc/passwd", "audience": "shop"},
        {"url": "http://127.0.0.1.evil.example", "audience": "shop"},
    ],
)
def test_an_issuer_that_anybody_could_be_is_none(said: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(said, Issuer)


async def test_outside_development_nobody_has_a_key_that_was_made_for_it(wire: Any, tmp_path: Path) -> None:
    """A token of the development issuer, whose key may lie on any laptop, is worth nothing."""
    async with wire(app(), tmp_path) as wired:
        token = wired.signed("ann")
        assert (await wired.ask("GET", "/mine", **token)).status == 200
    async with wire(app(), tmp_path, development=False, secret=SECRET) as wired:
        assert (await wired.ask("GET", "/mine", **token)).status == 401


def test_every_origin_with_credentials_is_no_setting() -> None:
    with pytest.raises(ValueError, match="no protection"):
        Cors(origins=("*",), credentials=True)


# -- what is told


@pytest.fixture
async def wired(wire: Any, tmp_path: Path) -> AsyncIterator[Wired]:
    """As it is served to strangers."""
    async with wire(app(), tmp_path, development=False, secret=SECRET, log="json") as wired:
        yield wired


REFUSED: dict[str, tuple[int, str, str, Any, dict[str, object]]] = {
    "no JSON": (400, "POST", "/papers", b"{nonsense", {}),
    "a name twice": (400, "POST", "/papers", b'{"text":"a","text":"b"}', {}),
    "deep": (400, "POST", "/papers", b"[" * 900, {}),
    "a broken address": (400, "GET", "/papers/%zz", None, {}),
    "nobody": (401, "GET", "/mine", None, {}),
    "a bad token": (401, "GET", "/papers/1", None, {"authorization": "Bearer a.b.c"}),
    "another scheme": (401, "GET", "/papers/1", None, {"authorization": "Basic YTpi"}),
    "nothing": (404, "GET", f"/{CANARY}/../x", None, {}),
    "for services": (404, "GET", "/inner", None, {}),
    "no method": (405, "DELETE", "/papers/1", None, {}),
    "no type": (406, "GET", "/papers/1", None, {"accept": "text/html"}),
    "a condition": (412, "POST", "/papers", {"text": "t"}, {"if_match": '"1"'}),
    "too large": (413, "POST", "/papers", {"text": "x" * 2000}, {}),
    "too large when it is unpacked": (
        413, "POST", "/papers", gzip.compress(b'{"text":"' + b"x" * 200_000 + b'"}'), {"content_encoding": "gzip"},
    ),
    "another coding": (415, "POST", "/papers", b"x", {"content_encoding": "br"}),
    "two codings": (415, "POST", "/papers", b"x", {"content_encoding": "gzip, gzip"}),
    "no gzip": (400, "POST", "/papers", b"x", {"content_encoding": "gzip"}),
    "another media type": (415, "POST", "/papers", b"<a/>", {"content_type": "application/xml"}),
    "XML": (415, "POST", "/papers", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/a">]>', {"content_type": "text/xml"}),
    "a wrong type": (422, "POST", "/papers", {"text": 1, "number": "SELECT"}, {}),
    "a large number": (400, "POST", "/papers", b'{"text":"a","number":1e999}', {}),
    "a huge number": (422, "POST", "/papers", b'{"text":"a","number":%b}' % (b"9" * 900), {}),
    "unknown": (422, "GET", "/papers/1?__class__=x", None, {}),
    "a bug": (500, "GET", "/bug", None, {}),
    "a bug with values": (500, "GET", "/bug?how=value", None, {}),
    "a bug of a bug": (500, "GET", "/bug?how=chain", None, {}),
    "many bugs": (500, "GET", "/bug?how=group", None, {}),
    "another answer": (500, "GET", "/bug?how=wrong", None, {}),
    "no answer": (500, "GET", "/bug?how=nothing", None, {}),
    "a neighbour": (503, "GET", "/bug?how=unavailable", None, {}),
    "too slow": (504, "GET", "/slow", None, {}),
    "too long a head": (431, "GET", "/papers/1", None, {"x": "y" * 70_000}),
    "no HTTP": (400, "G\0T", "/papers/1", None, {}),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
async def test_a_refusal_says_what_and_not_where(wired: Wired, what: str) -> None:
    status, method, path, body, said = REFUSED[what]
    got = await wired.ask(method, path, body, **said)

    assert got.status == status, got
    assert got.headers["content-type"] == "application/problem+json"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-store"
    assert not {"server", "x-powered-by", "x-aspnet-version", "via"} & set(got.headers)
    document = got.json()
    shown = got.text.replace(document.pop("instance", ""), "")
    assert not LEAKS.search(shown), shown
    assert CANARY not in shown
    assert set(document) <= {"type", "title", "status", "detail", "trace_id", "errors", "limit", "allow"}


async def test_a_body_that_never_comes_says_no_more(wired: Wired) -> None:
    got = await wired.ask("POST", "/papers", b'{"text":', content_length=100)

    assert got.status == 408
    assert not LEAKS.search(got.text)


@pytest.mark.parametrize("path", ["/papers/1", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
async def test_a_good_answer_says_how_it_is_to_be_taken(wired: Wired, path: str) -> None:
    got = await wired.ask("GET", path)

    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] in ("no-store", "no-cache")
    assert "server" not in got.headers
    assert "set-cookie" not in got.headers
    if path == "/docs":
        policy = got.headers["content-security-policy"]
        assert "script-src" not in policy or "'none'" in policy
        assert "default-src 'none'" in policy
        assert "<script" not in got.text


async def test_what_a_caller_was_given_is_kept_by_nobody_else(wire: Any, tmp_path: Path) -> None:
    async with wire(app(), tmp_path) as wired:
        got = await wired.ask("GET", "/mine", **wired.signed("ann"))

    assert got.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in got.headers["vary"]


# -- other origins


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.test", "https://app.test.evil.example"])
async def test_no_other_origin_reads_anything_by_default(wired: Wired, origin: str) -> None:
    for method, path in (("GET", "/papers/1"), ("OPTIONS", "/papers"), ("GET", "/metrics"), ("GET", "/none")):
        got = await wired.ask(method, path, origin=origin, access_control_request_method="POST")

        assert not [name for name in got.headers if name.startswith("access-control")]


NAMED = "https://shop.example"


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example.evil.example", "https://evilshop.example", "http://shop.example", "https://shop.example:444",
        "https://SHOP.example", "https://shop.example/", "https://a.shop.example", "null", "*", "",
        "https://shop.example, https://evil.example", "https://shop.example%00.evil.example",
    ],
)  # fmt: skip
async def test_an_origin_with_leave_is_the_one_that_is_named(wire: Any, tmp_path: Path, origin: str) -> None:
    async with wire(app(cors=Cors(origins=(NAMED,), credentials=True)), tmp_path) as wired:
        good = await wired.ask("GET", "/papers/1", origin=NAMED)
        got = await wired.ask("GET", "/papers/1", origin=origin)

    assert good.headers["access-control-allow-origin"] == NAMED
    assert not [name for name in got.headers if name.startswith("access-control")]
    assert got.headers["vary"]


# -- what is open


async def test_descriptions_say_nothing_of_what_is_for_services(wired: Wired) -> None:
    for path in ("/openapi.json", "/docs", "/.well-known/api-catalog"):
        got = await wired.ask("GET", path)

        assert got.status == 200
        assert not re.search("inner|canary_argument|PapersService|api8_misc", got.text), path


async def test_descriptions_can_be_left_out(wire: Any, tmp_path: Path) -> None:
    async with wire(app(docs=False), tmp_path) as wired:
        for path in ("/openapi.json", "/docs", "/.well-known/api-catalog", "/openapi.yaml", "/swagger.json", "/redoc"):
            assert (await wired.ask("GET", path)).status == 404


async def test_numbers_name_operations_and_nobody(wire: Any, tmp_path: Path) -> None:
    """Whoever reads `/metrics`, which an operator keeps to himself, finds no subject, tenant, id, address or path."""
    async with wire(app(), tmp_path) as wired:
        who = wired.signed("sub-canary", tenant="ten-canary", scopes=["sco-canary"], roles=["rol-canary"])
        for path in (f"/papers/{CANARY}", f"/papers/1?x={CANARY}", f"/none/{CANARY}", "/mine", f"/bug?how={CANARY}"):
            await wired.ask("GET", path, **who, user_agent=CANARY, traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
        await wired.ask(CANARY, "/papers/1", **who)
        await wired.ask("POST", "/papers", {"text": CANARY}, idempotency_key=CANARY)
        got = await wired.ask("GET", "/metrics")

    assert "papers.paper" in got.text
    assert "canary" not in got.text.lower()
    assert not re.search(r"127\.0\.0\.1|/papers|tenant=|subject=|address=|caller=|trace_id", got.text)


async def test_nothing_is_at_the_addresses_that_scanners_try(wired: Wired) -> None:
    for path in (
        "/.env", "/.git/config", "/.enfilade/issuer.json", "/enfilade.toml", "/debug", "/debug/pprof", "/admin",
        "/console", "/status", "/server-status", "/info", "/trace", "/traces", "/logs", "/config", "/env", "/heapdump",
        "/graphql", "/api", "/v1", "/swagger", "/favicon.ico", "/robots.txt", "/static/", "/_profiler", "/phpinfo.php",
        "/.well-known/security.txt", "/jwks.json", "/.well-known/jwks.json", "/.well-known/openid-configuration",
    ):  # fmt: skip
        assert (await wired.ask("GET", path)).status == 404, path


# -- the host that is named


HOSTS = ("evil.example", "evil.example:80", "[::1]", "localhost", "app.test@evil.example", "evil.example/x", "a b", "")


@pytest.mark.parametrize("host", HOSTS)
async def test_no_answer_repeats_the_host_that_it_was_asked_by(wired: Wired, host: str) -> None:
    for method, path in (("GET", "/papers/1"), ("POST", "/papers"), ("GET", "/none"), ("GET", "/openapi.json")):
        body = {"text": "t"} if method == "POST" else None
        got = await wired.ask(method, path, body, host=host, x_forwarded_host="evil.example")

        shown = got.text + repr(got.headers)
        assert "evil" not in shown, (path, shown)


async def test_an_app_that_says_where_it_is_is_nowhere_else(wire: Any, tmp_path: Path) -> None:
    """Who is sent to a provider must not be sent to where a request says."""
    said: dict[str, Any] = {"development": False, "secret": SECRET, "url": "https://shop.example"}
    said["issuers"] = (Issuer(url="https://id.example", audience="papers"),)
    async with wire(app(), tmp_path, **said) as wired:
        for path in ("/mine", "/.well-known/oauth-protected-resource"):
            got = await wired.ask("GET", path, host="evil.example", x_forwarded_host="evil.example")

            assert "evil" not in got.text + repr(got.headers)
            assert "https://shop.example" in got.text + repr(got.headers)


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "DEBUG"])
async def test_no_method_shows_a_request_or_leads_elsewhere(wired: Wired, method: str) -> None:
    for path in ("/papers/1", "/", "*", "evil.example:443", "http://evil.example/"):
        got = await wired.ask(method, path, x_secret=CANARY)

        assert got.status in (400, 404, 405), (path, got)
        assert CANARY not in got.text


async def test_a_small_body_may_be_packed(wired: Wired) -> None:
    """gzip is taken, within the limit of what it becomes: that it is refused above is for its size."""
    packed = gzip.compress(b'{"text":"t"}')
    assert (await wired.ask("POST", "/papers", packed, content_encoding="gzip")).status == 200
