"""API5:2023, broken function level authorization: no way leads to a function but the one that its guard stands at.

The shop runs on a socket of our own driver. A station notes what was served, for whom and from where; what is asked
goes out as bytes, so that no client of ours mends it on the way.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from enfilade.call import Call, Handler
from enfilade.contract.need import outside
from enfilade.contract.operation import Operation
from enfilade.identity.apikeys import ApiKeys
from shop.app import app as shop_app
from shop.carrier.contract import Carrier
from shop.fakes import FakeCarrier, FakeMail, FakePsp
from shop.mail.contract import Mail
from shop.psp.contract import Psp

MUG = "6E92ZMYYFZ"
Wired: TypeAlias = Any

POLICY = {
    "accounts.account": "a customer",
    "accounts.sign_up": "anyone",
    "api-keys.create": "a customer",
    "api-keys.keys": "a customer",
    "api-keys.revoke": "a customer",
    "api-keys.rotate": "a customer",
    "cart.basket": "a customer",
    "cart.put": "a customer",
    "cart.remove": "a customer",
    "catalog.page": "anyone",
    "catalog.product": "anyone",
    "catalog.products": "anyone",
    "currency.rates": "anyone",
    "inventory.recount": "the warehouse",
    "inventory.stock": "anyone",
    "notifications.sent": "a customer",
    "orders.history": "a customer",
    "orders.order": "a customer",
    "orders.place": "a buyer",
    "recommendations.bought_with": "anyone",
    "search.search": "anyone",
    "shipping.quote": "anyone",
    "shipping.shipment": "a customer",
}
"""Who may call what of the shop from outside, as a person wrote it down; what is not here is there for nobody."""
MEANS = {"anyone": 0, "a customer": 1, "a buyer": 2, "the warehouse": 3}


@dataclass
class Notes:
    """What was served to whom."""

    served: list[str] = field(default_factory=list[str])
    callers: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    """Subject, tenant, peer and address."""

    def station(self, operation: Operation, handler: Handler) -> Handler:
        async def noted(call: Call) -> Any:
            who = call.caller
            reply = await handler(call)
            if not call.peer:
                self.served.append(operation.id)
                self.callers.append((who.subject if who else "", call.tenant, call.peer, call.address))
            return reply

        return noted

    def take(self) -> list[str]:
        """What was served since."""
        served, self.served = self.served, []
        return served


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def shop(wire: Any, notes: Notes, tmp_path: Any) -> AsyncIterator[Wired]:
    made = type(shop_app)("shop", services=[*shop_app.services, ApiKeys], stations=[notes.station])
    made.builders = {**shop_app.builders, Psp: FakePsp, Carrier: FakeCarrier, Mail: FakeMail}
    made.provided = dict(shop_app.provided)
    async with wire(made, tmp_path) as wired:
        yield wired


def operations(shop: Wired) -> list[Operation]:
    services = shop.app.running_now.placement.services.values()
    return [one for placed in services for one in placed.contract.operations]


def public(shop: Wired) -> list[Operation]:
    return [one for one in operations(shop) if one.path and outside(one.needs) is not None]


def path_of(operation: Operation) -> str:
    return re.sub(r"\{\w+\}", MUG, operation.path)


# -- who may call what


async def test_everybody_may_call_what_the_policy_says_and_no_more(shop: Wired, notes: Notes) -> None:
    assert {one.id for one in public(shop)} == set(POLICY)
    people: dict[str, dict[str, object]] = {
        "nobody": {},
        "a customer": shop.signed("ann"),
        "a buyer": shop.signed("ann", scopes=["orders:write"]),
        "the warehouse": shop.signed("eve", roles=["warehouse"]),
        "whose scope is called like the role": shop.signed("eve", scopes=["warehouse"]),
        "whose role is called like the scope": shop.signed("eve", roles=["orders:write"]),
        "who has the beginning of a right": shop.signed("eve", scopes=["orders", "orders:"], roles=["ware"]),
        "who has everything in one word": shop.signed("eve", scopes=["orders:write,warehouse"], roles=["*"]),
        "an administrator of something else": shop.signed("root", scopes=["admin", "*"], roles=["admin", "root"]),
    }
    wrong: list[str] = []
    for operation in public(shop):
        for label, said in people.items():
            needed = POLICY[operation.id]
            may = needed == "anyone" or needed == label or (needed == "a customer" and label != "nobody")
            got = await shop.ask(
                operation.method, path_of(operation), b"" if operation.method != "GET" else None, **said
            )
            refused = got.status == (401 if label == "nobody" else 403)
            if may == refused:
                wrong.append(f"{operation.id} by {label}: {got.status}")
            if not may and operation.id in notes.take():
                wrong.append(f"{operation.id} was served to {label}")

    assert wrong == []


async def test_what_is_for_services_is_for_nobody_outside_what_nothing_is(shop: Wired, notes: Notes) -> None:
    """A route of theirs, whichever method is asked for it, is answered like one that was never written."""
    inner = [one for one in operations(shop) if outside(one.needs) is None]
    assert len(inner) > 10
    all_rights = shop.signed("ann", scopes=["orders:write", "peers", "orders", "*"], roles=["warehouse", "peers"])
    told: list[str] = []
    for operation in (one for one in inner if one.path):
        path = path_of(operation)
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for said in ({}, all_rights):
                body = b"{}" if method in ("POST", "PUT", "PATCH") else None
                got = await shop.ask(method, path, body, **said)
                nothing = await shop.ask(method, f"/none{path}", body, **said)
                if _same(got, path) != _same(nothing, f"/none{path}"):
                    told.append(f"{method} {path}: {got.status} {got.text}, and not {nothing.status}")

    assert told == []
    assert notes.take() == []


def _same(got: Any, path: str) -> tuple[int, dict[str, str], str]:
    fields = {name: value for name, value in got.headers.items() if name not in ("date", "trace-id", "content-length")}
    return got.status, fields, re.sub("[0-9a-f]{32}", "", got.text.replace(path, "PATH"))


async def test_no_address_is_made_of_the_names_in_the_code(shop: Wired, notes: Notes) -> None:
    said = shop.signed("ann", scopes=["orders:write"], roles=["warehouse"])
    for operation in operations(shop):
        service, name = operation.service, operation.name
        for path in (
            f"/{service}/{name}", f"/{service}.{name}", f"/{operation.id}", f"/rpc/{operation.id}",
            f"/call/{operation.id}", f"/_/{service}/{name}", f"/internal/{service}/{name}", f"/peers/{operation.id}",
        ):  # fmt: skip
            got = await shop.ask("POST", path, b"{}", **said)

            assert got.status in (400, 404, 405), path
    assert notes.take() == []


# -- methods


METHODS = """
    GET HEAD POST PUT PATCH DELETE TRACE CONNECT PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH QUERY PURGE LINK
    UNLINK REPORT MERGE DEBUG TRACK get Get POSTED GET_ X
""".split()  # noqa: SIM905


async def test_a_method_that_an_address_does_not_have_does_nothing(shop: Wired, notes: Notes) -> None:
    said = shop.signed("ann", scopes=["orders:write"], roles=["warehouse"])
    known: dict[str, set[str]] = {}
    for operation in public(shop):
        known.setdefault(path_of(operation), set()).add(operation.method)
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        known[path] = {"GET"}
    for path, methods in known.items():
        methods |= {"HEAD"} if "GET" in methods else set()
        for method in METHODS:
            if method in methods:
                continue
            got = await shop.ask(method, path, b"{}" if method == "POST" else None, **said)

            assert got.status in (400, 405, 501), f"{method} {path}: {got.status}"
            assert notes.take() == [], f"{method} {path}"
            assert "authorization" not in got.text.lower()  # what TRACE would echo


OVERRIDES = (
    "x_http_method_override", "x_http_method", "x_method_override", "x_original_method", "x_forwarded_method",
    "_method", "method", "http_method_override", "x_request_method",
)  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDES)
async def test_a_method_is_the_one_of_the_first_line(shop: Wired, notes: Notes, name: str) -> None:
    said = shop.signed("ann", roles=["warehouse"])
    assert (await shop.ask("GET", f"/inventory/{MUG}", **{name: "PUT"}, **said)).status == 200
    assert notes.take() == ["inventory.stock"]
    # (`_` is written as `-` by `ask`; here the other spelling, which gateways take for the same)
    for spelled in (name.upper(), name):
        for carried in (f"/inventory/{MUG}?{spelled}=PUT", f"/cart/items/{MUG}?{spelled}=PUT"):
            got = await shop.ask("POST", carried, {name: "PUT", "available": 9, "quantity": 9}, **{name: "PUT"}, **said)
            assert got.status == 405
            got = await shop.ask("GET", carried, **{name: "PUT"}, **said)
            assert got.status in (405, 422)
    assert notes.take() == []


# -- addresses


def spellings(path: str) -> list[str]:
    """Ways to write a path that some server or other takes for it."""
    first, _, rest = path[1:].partition("/")
    rest = f"/{rest}" if rest else ""
    half = first[: len(first) // 2], first[len(first) // 2 :]
    return [
        f"/{path}", f"//{path}", f"{path}/", f"{path}//", f"/.{path}", f"/./{first}{rest}", f"/x/..{path}",
        f"/%2e{path}", f"/%2e/{first}{rest}", f"/x/%2e%2e{path}", f"/x/.%2e{path}", f"/x%2f..{path}",
        f"/%2f{first}{rest}", f"/%5c{first}{rest}", f"/\\{first}{rest}", f"\\{first}{rest}", f"{path}%00",
        f"{path}%00.json", f"/%00{path}", f"{path};a=b", f"/{first};a=b{rest}", f"/;{path}", f"/..;{path}",
        f"/x/..;{path}", f"{path}.", f"{path}.json", f"{path}.html", f"{path}%20", f"{path}%09", f"{path}%0a",
        f"{path}%0d%0aX:1", f"{path}%23", f"{path}%3f", f"/{first.upper()}{rest}", f"/{first.capitalize()}{rest}",
        f"/{half[0]}%{ord(half[1][0]) + 0x100:x}{half[1][1:]}{rest}", f"/%c0%ae{path}", f"/%c0%af{first}{rest}",
        f"/%e0%80%af{first}{rest}", f"/%ef%bc%8f{first}{rest}", f"/\u2215{first}{rest}", f"/\uff0f{first}{rest}",
        f"/{half[0]}\u200b{half[1]}{rest}", f"/{half[0]}%e2%80%8b{half[1]}{rest}", f"/{half[0]}%252f{half[1]}{rest}",
        f"/%252e%252e{path}", f"{path}%", f"{path}%2", f"{path}%zz", f"/*{path}",
        f"/{first}%2f{rest[1:]}" if rest else f"/{first}%2f", f"/{first}/{rest}", f"/{first}/.{rest}",
        f"/{first}/x/..{rest}", f"/{first}%3b{rest}", f"/\u0130{first[1:]}{rest}", f"/{first[:-1]}\u017f{rest}",
        f"{path}~", f"{path}\t", f"{path}\x7f", f"/api{path}", f"/v1{path}", f"/v2{path}", f"/internal{path}",
        f"/..{path}", f"/../..{path}", f"{path}/.", f"{path}/..",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "id"),
    [
        ("PUT", f"/inventory/{MUG}", "inventory.recount"),
        ("GET", "/orders", "orders.history"),
        ("GET", "/account", "accounts.account"),
        ("DELETE", f"/cart/items/{MUG}", "cart.remove"),
        ("POST", "/charges", "psp.charge"),
        ("GET", "/metrics", ""),
    ],
)
async def test_an_address_is_written_in_one_way(shop: Wired, notes: Notes, method: str, path: str, id: str) -> None:
    said = shop.signed("ann", scopes=["orders:write"], roles=["warehouse"])
    for spelled in spellings(path):
        got = await shop.ask(method, spelled, {"available": 1} if method in ("PUT", "POST") else None, **said)

        # What is in a value's place is a value: the sku `X;a=b` is a sku, if a wrong one.
        assert got.status in ((400, 404, 405, 422) if MUG in path else (400, 404)), f"{spelled!r}: {got}"
        assert id not in notes.take(), spelled


async def test_a_letter_may_be_encoded_and_is_guarded_all_the_same(shop: Wired, notes: Notes) -> None:
    """RFC 3986, 6.2.2.2: `%6f` is an `o`, and so it is the same address, with the same guard."""
    assert (await shop.ask("GET", "/%6frders")).status == 401
    assert (await shop.ask("PUT", f"/%69nventory/{MUG}", {"available": 1}, **shop.signed("ann"))).status == 403
    assert notes.take() == []
    assert (await shop.ask("GET", "/%6frders", **shop.signed("ann"))).status == 200


# -- fields


REWRITES = (
    "x_original_url", "x_rewrite_url", "x_forwarded_prefix", "x_forwarded_path", "x_forwarded_uri", "x_original_uri",
    "x_envoy_original_path", "x_accel_redirect", "x_sendfile", "x_override_url", "x_http_destinationurl", "destination",
    "x_forwarded_host", "x_proxy_url", "content_location", "script_name", "path_info", "request_uri", "referer",
)  # fmt: skip
IDENTITIES = (
    "x_user", "x_user_id", "x_username", "x_tenant", "x_tenant_id", "x_org_id", "x_account", "x_roles", "x_scopes",
    "x_role", "x_groups", "x_forwarded_user", "x_forwarded_email", "x_forwarded_groups", "x_auth_request_user",
    "x_authenticated_userid", "x_remote_user", "remote_user", "x_subject", "x_consumer_username",
    "x_amzn_oidc_identity", "x_ms_client_principal_name", "x_client_cert", "x_forwarded_client_cert",
    "ssl_client_s_dn", "x_ssl_client_verify", "x_peer", "x_enfilade_peer", "x_enfilade_caller", "x_enfilade_tenant",
    "x_service", "x_service_name", "x_internal", "x_real_ip", "x_forwarded_for", "true_client_ip", "cf_connecting_ip",
    "x_client_ip", "x_originating_ip", "forwarded", "via", "x_trust", "x_admin", "x_debug", "tenant", "peer", "caller",
    "baggage", "cookie", "x_api_version", "x_jwt_claims", "x_userinfo", "x_id_token", "x_access_token", "token",
)  # fmt: skip


async def test_no_field_leads_to_another_address(shop: Wired, notes: Notes) -> None:
    for name in REWRITES:
        for target in (f"/inventory/{MUG}", "/metrics", "http://127.0.0.1/orders"):
            got = await shop.ask("GET", "/currencies", **{name: target}, **shop.signed("ann", roles=["warehouse"]))

            assert (got.status, notes.take()) == (200, ["currency.rates"]), name
        assert (await shop.ask("PUT", "/none", {"available": 1}, **{name: f"/inventory/{MUG}"})).status == 404


async def test_no_field_says_who_calls(shop: Wired, notes: Notes) -> None:
    for name in IDENTITIES:
        for value in ("bob", "10.0.0.9", "orders", "for=10.0.0.9;by=bob", "sub=bob,tenant=south", "session=bob"):
            assert (await shop.ask("GET", "/cart", **{name: value})).status == 401, name
        got = await shop.ask("GET", "/cart", **{name: "south"}, **shop.signed("ann", tenant="north"))
        assert got.status == 200

    assert set(notes.callers) == {("ann", "north", "", "127.0.0.1")}


async def test_nobody_outside_is_a_service(shop: Wired, notes: Notes) -> None:
    """A token may say what it likes: a peer is who was given a handle in this process."""
    for said in ({"kind": "service"}, {"scopes": ["peers"]}, {"roles": ["peers", "orders", "service"]}):
        for subject in ("orders", "peers", "shop", "payments"):
            who = shop.signed(subject, **said)
            assert (await shop.ask("POST", "/charges", {"reference": "r", "card": "tok_visa"}, **who)).status == 404
            assert (await shop.ask("GET", "/cart", **who)).status == 200
    assert {peer for _, _, peer, _ in notes.callers} == {""}


# -- requests within requests


def hidden(token: str) -> bytes:
    """A request that is meant to be taken for one, though it stands in a body."""
    body = b'{"available": 1}'
    head = f"PUT /inventory/{MUG} HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\ncontent-type: application/json"
    return f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


SMUGGLED = {
    "length and chunks": "content-length: {more}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    "chunks and length": "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n{hidden}",
    "two lengths": "content-length: 0\r\ncontent-length: {all}\r\n\r\n{hidden}",
    "two lengths in one": "content-length: 0, {all}\r\n\r\n{hidden}",
    "a length with a sign": "content-length: +0\r\n\r\n{hidden}",
    "a length in hexadecimal": "content-length: 0x0\r\n\r\n{hidden}",
    "a length with a blank": "content-length : 0\r\n\r\n{hidden}",
    "a length on the next line": "x: y\r\n content-length: 0\r\n\r\n{hidden}",
    "chunked with a blank": "transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}",
    "chunked, spelled with a tab": "transfer-encoding:\tchunked, identity\r\n\r\n0\r\n\r\n{hidden}",
    "chunked twice": "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    "chunked, almost": "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}",
    "chunked, folded": "transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n{hidden}",
    "identity": "transfer-encoding: identity\r\ncontent-length: {all}\r\n\r\n{hidden}",
    "a size with a sign": "transfer-encoding: chunked\r\n\r\n+0\r\n\r\n{hidden}",
    "a size with more": "transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n{hidden}",
    "a bare line feed": "content-length: 0\n\n{hidden}",
    "a bare carriage return": "content-length: 0\r\rx: y\r\n\r\n{hidden}",
    "a NUL in a name": "content\0-length: 0\r\n\r\n{hidden}",
    "a line before its time": "x: y\r\n\r{hidden}",
    "two hosts": "host: b\r\ncontent-length: {all}\r\n\r\n{hidden}",
    "an expectation": "expect: 100-continue\r\ncontent-length: {all}\r\n\r\n{hidden}",
    "an upgrade": "connection: upgrade\r\nupgrade: h2c\r\ncontent-length: {all}\r\n\r\n{hidden}",
}


@pytest.mark.parametrize("how", SMUGGLED)
async def test_no_request_stands_in_another(shop: Wired, notes: Notes, how: str) -> None:
    # The token is good for the request that is hidden: that it is not refused would not be for lack of rights.
    inner = hidden(shop.signed("eve", roles=["warehouse"])["authorization"]).decode()
    tail = SMUGGLED[how].replace("{more}", str(5 + len(inner))).replace("{all}", str(len(inner)))
    sent = f"POST /cart HTTP/1.1\r\nhost: a\r\n{tail.replace('{hidden}', inner)}".encode("latin-1")
    answers = await _answers(shop, sent)

    assert "inventory.recount" not in notes.take(), how
    assert answers, how
    assert all(one in (400, 401, 405, 431, 501) for one in answers), (how, answers)


async def test_a_request_that_comes_after_another_is_one(shop: Wired, notes: Notes) -> None:
    """What is tried above would be served, if it were taken for a request: or nothing is shown by it."""
    inner = hidden(shop.signed("eve", roles=["warehouse"])["authorization"])
    answers = await _answers(shop, b"POST /cart HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n" + inner)

    assert answers == [405, 200]
    assert notes.take() == ["inventory.recount"]


async def _answers(shop: Wired, data: bytes) -> list[int]:
    """The statuses of all that is answered to these bytes, until nothing more comes."""

    def ask() -> bytes:
        host, _, port = shop.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), 0.5) as connection:
            connection.sendall(data)
            found = b""
            with suppress(OSError):
                while piece := connection.recv(65536):
                    found += piece
            return found

    return [int(one) for one in re.findall(rb"HTTP/1\.1 (\d{3}) ", await asyncio.to_thread(ask)) if one != b"100"]
