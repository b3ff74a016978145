"""API2:2023, broken authentication: no made-up token lets anybody in, and the refusal is the same for all of them.

Each token of the corpus is given to the verifier, and to an app over HTTP: to an operation that needs a caller and to
one that needs nobody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeAlias, final

import httpx2
import pytest
from joserfc import jwe, jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from enfilade import App, anyone, contract, current, query, signed_in
from enfilade.clock import VirtualClock
from enfilade.config import Config
from enfilade.errors import Unauthenticated
from enfilade.identity import DevelopmentIssuer, Issuer, Tokens, Verifier
from enfilade.testing import Stage

ISSUER, OTHER, TENANT = "https://id.example", "https://other.example", "https://acme.example"
NOW = 1767268800
"""When a `Stage` begins."""

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1"})
STRANGE = RSAKey.generate_key(2048, {"kid": "rsa-1"})
PUBLIC = tuple(key.as_dict(private=False) for key in (RSA, EC))


def b64(data: bytes | str) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def write(part: Any) -> str:
    return b64(part if isinstance(part, (str, bytes)) else json.dumps(part))


def claims(**changes: Any) -> dict[str, Any]:
    said = {"iss": ISSUER, "sub": "ann", "aud": "shop", "iat": NOW, "exp": NOW + 600, "jti": "t1", **changes}
    return {name: value for name, value in said.items() if value is not ...}


def header(**changes: Any) -> dict[str, Any]:
    said = {"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1", **changes}
    return {name: value for name, value in said.items() if value is not ...}


def sign(head: Any = None, body: Any = None, key: Any = RSA, algorithm: str = "RS256") -> str:
    """A token that is right but for what is changed, rightly signed."""
    signed = f"{write(header() if head is None else head)}.{write(claims() if body is None else body)}"
    return f"{signed}.{b64(jws.JWSRegistry.algorithms[algorithm].sign(signed.encode(), key))}"


def mac(secret: bytes, **changes: Any) -> str:
    signed = f"{write(header(**{'alg': 'HS256', **changes}))}.{write(claims())}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def unsigned(alg: str, signature: str = "") -> str:
    return f"{write(header(alg=alg))}.{write(claims())}.{signature}"


def part(at: int, changed: Callable[[str], str]) -> str:
    parts = sign().split(".")
    parts[at] = changed(parts[at])
    return ".".join(parts)


def der(r: int, s: int) -> str:
    return b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def ec_token(signature: str) -> str:
    return f"{write(header(alg='ES256', kid='ec-1'))}.{write(claims())}.{signature}"


N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of P-256."""
PEM = RSA.as_pem(private=False)
DER = RSA.as_der(private=False)
JWK = json.dumps(PUBLIC[0])
NESTED = sign()


SECRET = OctKey.generate_key(256)
BOMB = zlib.compress(b"x" * 10_000_000)[:4000]


def deep(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def raw(**texts: str) -> str:
    """Claims whose values are JSON of their own."""
    said = {name: json.dumps(value) for name, value in claims().items()} | texts
    return "{" + ",".join(f'"{name}":{text}' for name, text in said.items()) + "}"


Corpus: TypeAlias = dict[str, str]

NONE: Corpus = {
    f"alg {spelled!r}{' signed' if signature else ''}": unsigned(spelled, signature)
    for spelled in ("none", "None", "NONE", "nOnE", "noNe", " none", "none ", "none\0", "n\u043ene", "", "null")
    for signature in ("", "AAAA")
}
CONFUSED: Corpus = {
    "HS256 with the PEM": mac(PEM),
    "HS256 with the PEM, no newline at its end": mac(PEM.strip()),
    "HS256 with the DER": mac(DER),
    "HS256 with the JWK": mac(JWK.encode()),
    "HS256 with the modulus": mac(PUBLIC[0]["n"].encode()),
    "HS256 with nothing": mac(b"", kid="nobody"),
    "HS256 with a key of zeros": mac(bytes(32)),
    "HS512 said, HS256 done": mac(PEM, alg="HS512"),
    "ES256 said, RS256 done": sign(header(alg="ES256")),
    "RS256 said, ES256 done": sign(header(kid="ec-1"), key=EC, algorithm="ES256"),
    "RS512 that is not allowed": sign(header(alg="RS512"), key=RSA, algorithm="RS512"),
    "PS256 that is not allowed": sign(header(alg="PS256"), key=RSA, algorithm="PS256"),
    "EdDSA that is not allowed": sign(header(alg="EdDSA", kid="ed-1"), key=ED, algorithm="EdDSA"),
    "a list of algorithms": sign(header(alg=["RS256"])),
    "an object of an algorithm": sign(header(alg={"RS256": 1})),
    "no algorithm": sign(header(alg=...)),
    "algorithm null": sign(header(alg=None)),
    "another's key under our kid": sign(key=STRANGE),
    "a key of 1024 bits": sign(header(kid="weak"), key=STRANGE),
}
HEADERS: Corpus = {
    name: sign(header(**said), key=STRANGE)
    for name, said in {
        "jku": {"jku": "https://evil.example/jwks.json"},
        "jku of the issuer's host": {"jku": "https://id.example@evil.example/jwks.json"},
        "x5u": {"x5u": "https://evil.example/chain.pem"},
        "x5c": {"x5c": [b64(STRANGE.as_der(private=False))]},
        "jwk": {"jwk": STRANGE.as_dict(private=False)},
        "jwk with a shared secret": {"jwk": {"kty": "oct", "k": b64("secret")}, "alg": "HS256"},
        "kid that is a path": {"kid": "../../../../../../dev/null"},
        "kid that is a path, encoded": {"kid": "..%2f..%2fdev%2fnull"},
        "kid that is an address": {"kid": "https://evil.example/key"},
        "kid that is SQL": {"kid": "x' UNION SELECT 'AAAA' --"},
        "kid that is a command": {"kid": "key; sleep 10 |"},
        "kid with a NUL": {"kid": "rsa-1\0.pem"},
        "kid with a newline": {"kid": "rsa-1\r\nset-cookie: a=b"},
        "kid of a megabyte": {"kid": "k" * 1_000_000},
        "kid that is a number": {"kid": 1},
        "kid that is a list": {"kid": ["rsa-1"]},
        "kid that is an object": {"kid": {"$ne": ""}},
        "kid null": {"kid": None},
        "kid empty": {"kid": ""},
        "kid unknown": {"kid": "rsa-9"},
        "kid of the other key": {"kid": "ec-1"},
        "kid of the other key's algorithm": {"kid": "rsa-1", "alg": "ES256"},
    }.items()
} | {
    name: sign(header(**said))
    for name, said in {
        "jku beside a good signature": {"jku": "https://evil.example/jwks.json"},
        "jwk beside a good signature": {"jwk": PUBLIC[0]},
        "crit of what nobody knows": {"crit": ["exp"], "exp": NOW + 600},
        "crit that is empty": {"crit": []},
        "crit that is text": {"crit": "b64"},
        "b64 false": {"b64": False, "crit": ["b64"]},
        "b64 false without crit": {"b64": False},
        "b64 true": {"b64": True},
        "zip": {"zip": "DEF"},
        "an ID token's type": {"typ": "JWT"},
        "a refresh token's type": {"typ": "rt+jwt"},
        "a logout token's type": {"typ": "logout+jwt"},
        "a client's assertion": {"typ": "client-authentication+jwt"},
        "a proof of possession": {"typ": "dpop+jwt"},
        "no type": {"typ": ...},
        "type null": {"typ": None},
        "type in a list": {"typ": ["at+jwt"]},
        "type with a word more": {"typ": "at+jwt; charset=utf-8"},
        "type in letters that look like it": {"typ": "\u0430t+jwt"},
    }.items()
}
CLAIMS: Corpus = {
    name: sign(body=claims(**said))
    for name, said in {
        "expired": {"exp": NOW - 61},
        "expired long ago": {"exp": 1},
        "no exp": {"exp": ...},
        "exp null": {"exp": None},
        "exp as text": {"exp": "9999999999"},
        "exp as words": {"exp": "never"},
        "exp true": {"exp": True},
        "exp false": {"exp": False},
        "exp negative": {"exp": -1},
        "exp zero": {"exp": 0},
        "exp as a list": {"exp": [9999999999]},
        "exp as an object": {"exp": {"$gt": 0}},
        "exp of 400 digits": {"exp": 10**400},
        "exp beyond dates": {"exp": 1e300},
        "exp a fraction, over": {"exp": NOW - 60.5},
        "nbf in the future": {"nbf": NOW + 61},
        "nbf as text": {"nbf": "0"},
        "nbf null": {"nbf": None},
        "iat in the future": {"iat": NOW + 3600},
        "auth_time in the future": {"auth_time": NOW + 3600},
        "no issuer": {"iss": ...},
        "issuer null": {"iss": None},
        "an issuer that nobody named": {"iss": "https://evil.example"},
        "the issuer with a slash more": {"iss": "https://id.example/"},
        "the issuer in capitals": {"iss": "HTTPS://ID.EXAMPLE"},
        "the issuer by http": {"iss": "http://id.example"},
        "the issuer with a port": {"iss": "https://id.example:443"},
        "the issuer with a space": {"iss": "https://id.example "},
        "the issuer below another host": {"iss": "https://id.example.evil.example"},
        "another of our issuers": {"iss": OTHER},
        "a tenant's issuer": {"iss": TENANT},
        "issuers in a list": {"iss": [ISSUER]},
        "no audience": {"aud": ...},
        "audience null": {"aud": None},
        "audience empty": {"aud": ""},
        "no audience in a list": {"aud": []},
        "another service's audience": {"aud": "mail"},
        "other services' audiences": {"aud": ["mail", "shopping"]},
        "the audience in capitals": {"aud": "SHOP"},
        "a prefix of the audience": {"aud": "sho"},
        "the audience with a space": {"aud": "shop "},
        "the audience among numbers": {"aud": [7, "shop"]},
        "the audience in an object": {"aud": {"shop": True}},
        "the audience in a list in a list": {"aud": [["shop"]]},
        "audience true": {"aud": True},
        "nobody": {"sub": ...},
        "nobody by name": {"sub": ""},
        "subject null": {"sub": None},
        "subject a number": {"sub": 7},
        "subject a list": {"sub": ["ann"]},
        "subject with a NUL": {"sub": "ann\0root"},
        "subject with half a character": {"sub": "ann\ud800"},
        "scope a number": {"scope": 7},
        "scope an object": {"scope": {"admin": True}},
        "roles as text": {"roles": "admin"},
        "roles an object": {"roles": {"admin": True}},
        "tenant a list": {"tenant": ["acme"]},
        "an ID token by its nonce": {"nonce": "n"},
        "an ID token by a hash": {"at_hash": "x"},
        "an ID token by its typ": {"typ": "ID"},
        "an ID token by its use": {"token_use": "id"},
        "a refresh token by its typ": {"typ": "Refresh"},
        "a refresh token by its use": {"token_use": "refresh"},
        "a logout token": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        "actors without end": {"act": json.loads('{"sub":"a","act":' * 20 + '{"sub":"z"}' + "}" * 20)},
    }.items()
}
JSON: Corpus = {
    "exp 1e400": sign(body=raw(exp="1e400")),
    "exp -1e400": sign(body=raw(exp="-1e400")),
    "exp NaN": sign(body=raw(exp="NaN")),
    "exp Infinity": sign(body=raw(exp="Infinity")),
    "subject twice": sign(body=raw()[:-1] + ',"sub":"root"}'),
    "exp twice": sign(body=raw(exp="1")[:-1] + f',"exp":{NOW + 600}}}'),
    "issuer twice": sign(body='{"iss":"https://evil.example",' + raw()[1:]),
    "a member twice, one of them escaped": sign(body=raw()[:-1] + ',"su\\u0062":"root"}'),
    "a member twice, deep": sign(body=raw(act='{"sub":"a","sub":"b"}')),
    "algorithm twice": sign('{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"rsa-1"}'),
    "kid twice": sign('{"alg":"RS256","typ":"at+jwt","kid":"rsa-1","kid":"ec-1"}'),
    "claims 900 deep": sign(body=deep(900)),
    "claims deeper than Python": sign(body="[" * 2900 + "]" * 2900),
    "a claim that is deep": sign(body=raw(act=deep(400))),
    "a header that is deep": sign("[" * 2000),
    "no JSON": sign(body="ann"),
    "half of JSON": sign(body=raw()[:-1]),
    "JSON and more": sign(body=raw() + "{}"),
    "JSON with a comma too many": sign(body=raw()[:-1] + ",}"),
    "a list": sign(body="[]"),
    "a text": sign(body='"ann"'),
    "null": sign(body="null"),
    "not UTF-8": sign(body=b"\xff\xfe" + raw().encode("utf-16-le")),
    "UTF-16": sign(body=raw().encode("utf-16")),
    "with a byte order mark": sign(body=b"\xef\xbb\xbf" + raw().encode()),
    "overlong UTF-8": sign(body=raw().encode().replace(b'"ann"', b'"\xc0\xaf"')),
    "a NUL in it": sign(body=raw(sub='"ann\0"')),
    "a token in a token": sign(header(cty="JWT"), NESTED),
    "a header that is a list": sign("[]"),
    "a header that is nothing": sign("{}"),
}
SHAPES: Corpus = {
    "empty": "",
    "a word": "ann",
    "dots": "..",
    "one part": sign().split(".")[0],
    "two parts": sign().rsplit(".", 1)[0],
    "no signature": sign().rsplit(".", 1)[0] + ".",
    "four parts": sign() + "." + sign().split(".")[2],
    "five parts": sign() + ".AAAA.AAAA",
    "an encrypted token": jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, json.dumps(claims()), SECRET),
    "a bomb in an encrypted token": jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}, BOMB, SECRET),
    "as JSON": json.dumps(dict(zip(("protected", "payload", "signature"), sign().split("."), strict=True))),
    "padded": part(0, lambda text: text + "=" * (-len(text) % 4 or 4)),
    "padded signature": part(2, lambda text: text + "=="),
    "a space within": part(1, lambda text: text[:5] + " " + text[5:]),
    "a tab within": part(1, lambda text: text[:5] + "\t" + text[5:]),
    "a plus": part(2, lambda text: "+" + text[1:]),
    "a slash": part(2, lambda text: "/" + text[1:]),
    "a percent": part(1, lambda text: text[:5] + "%3d" + text[5:]),
    "a comma and another token": sign() + "," + sign(),
    "one letter of a length": part(0, lambda text: "e"),
    "payload and header exchanged": ".".join([*reversed(sign().split(".")[:2]), sign().split(".")[2]]),
    "another payload": part(1, lambda text: write(claims(sub="root"))),
    "another's signature": part(2, lambda text: sign(body=claims(sub="bob")).split(".")[2]),
    "half a signature": part(2, lambda text: text[:171]),
    "a signature of zeros": part(2, lambda text: "A" * 342),
    "a signature of ones": part(2, lambda text: b64(b"\xff" * 256)),
    "a signature of one": part(2, lambda text: b64(bytes(255) + b"\1")),
    "psychic: r = s = 0": ec_token(der(0, 0)),
    "psychic: r = 0": ec_token(der(0, 1)),
    "psychic: s = 0": ec_token(der(1, 0)),
    "psychic: r = s = n": ec_token(der(N, N)),
    "psychic: r = s = 1": ec_token(der(1, 1)),
    "an EC signature in DER": ec_token(b64(bytes.fromhex("3006020100020100"))),
    "an EC signature that is empty": ec_token("AA"),
    "too long": sign(body=claims(note="x" * 8000)),
    "letters of other scripts": "\u0435" + sign()[1:],
}  # fmt: skip

ALL: Corpus = {**NONE, **CONFUSED, **HEADERS, **CLAIMS, **JSON, **SHAPES}


def issuers() -> tuple[Issuer, ...]:
    weak = dict(STRANGE.as_dict(private=False), kid="weak", n=b64((1 << 1023 | 1).to_bytes(128, "big")))
    return (
        Issuer(url=ISSUER, audience="shop", keys=(*PUBLIC, weak)),
        Issuer(url=OTHER, audience="shop", keys=(STRANGE.as_dict(private=False),), prefix="other:"),
        Issuer(
            url=TENANT, audience="shop", keys=(dict(ED.as_dict(private=False), alg="EdDSA"), PUBLIC[1]), tenant="acme"
        ),
    )


@contract(needs=signed_in)
class Desk(Protocol):
    @query("GET /me")
    async def me(self) -> str: ...

    @query("GET /news", needs=anyone)
    async def news(self) -> str: ...


@final
class DeskService(Desk):
    async def me(self) -> str:
        return current().me

    async def news(self) -> str:
        return "none"


@pytest.fixture
async def desk() -> AsyncIterator[Stage]:
    app = App("shop", services=[Desk])
    app.service(Desk).by(DeskService)
    async with Stage(
        app,
        config=Config(
            data="sqlite::memory:", issuers=issuers(), development=False, secret="what nobody guesses, at all costs"
        ),
    ) as stage:
        yield stage


async def ask(desk: Stage, token: str, path: str = "/me") -> httpx2.Response:
    return await desk.http.get(path, headers={b"authorization": b"Bearer " + token.encode()})


def told(answer: httpx2.Response) -> tuple[Any, ...]:
    """All of an answer but its trace."""
    fields = {name: value for name, value in answer.headers.items() if name not in ("trace-id", "content-length")}
    return answer.status_code, fields, {name: value for name, value in answer.json().items() if name != "trace_id"}


async def test_a_right_token_gets_in(desk: Stage) -> None:
    for token in (sign(), sign(header(alg="ES256", kid="ec-1"), key=EC, algorithm="ES256")):
        answer = await ask(desk, token)
        assert (answer.status_code, answer.json()) == (200, "ann")


@pytest.mark.parametrize("name", ALL)
async def test_a_wrong_token_is_refused_by_the_verifier(name: str, caplog: Any) -> None:
    verifier = Verifier(issuers(), VirtualClock(Stage(App("shop", services=[])).clock.now()))

    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(ALL[name])
    assert caught.value.challenge.startswith('error="invalid_token"')
    assert verifier.recall(ALL[name]) is None


async def test_every_wrong_token_gets_one_and_the_same_401_wherever_it_is_shown(desk: Stage, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    expected = told(await ask(desk, "a.b.c"))
    assert expected[0] == 401
    assert expected[1]["www-authenticate"] == (
        'Bearer realm="shop", error="invalid_token", '
        'error_description="The access token is not valid here, or no longer.", '
        'resource_metadata="http://app.test/.well-known/oauth-protected-resource"'
    )

    news = told(await ask(desk, "a.b.c", "/news"))
    different = [name for name, token in ALL.items() if told(await ask(desk, token)) != expected]
    let_in = [name for name, token in ALL.items() if told(await ask(desk, token, "/news")) != news]

    assert (different, let_in) == ([], [])
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    assert not [name for name, token in ALL.items() if len(token) > 20 and token in caplog.text]


async def test_who_brings_nothing_is_asked_to_without_an_error(desk: Stage) -> None:
    answer = await desk.http.get("/me")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="shop", resource_metadata="http://app.test/.well-known/oauth-protected-resource"'
    )


@pytest.mark.parametrize(
    "credentials", ["Basic YW5uOnNlY3JldA==", "bearer", "Bearer", "Bearer ", "Token x", "{token}", "Digest a=b", "\x00"]
)
async def test_credentials_of_another_kind_are_refused(desk: Stage, credentials: str) -> None:
    field = credentials.replace("{token}", sign()).encode()

    assert (await desk.http.get("/me", headers={b"authorization": field})).status_code == 401


async def test_a_token_is_taken_from_its_field_alone(desk: Stage) -> None:
    for ask in (
        desk.http.get("/me", params={"access_token": sign()}),
        desk.http.get("/me", headers={"cookie": f"access_token={sign()}"}),
        desk.http.get("/me", headers={"x-access-token": sign(), "proxy-authorization": f"Bearer {sign()}"}),
    ):
        assert (await ask).status_code in (401, 422)


async def test_two_tokens_are_none(desk: Stage) -> None:
    fields = [("authorization", f"Bearer {sign()}"), ("authorization", f"Bearer {sign(body=claims(sub='bob'))}")]

    assert (await desk.http.get("/me", headers=fields)).status_code == 401


async def test_the_tokens_of_a_developers_machine_are_nothing_elsewhere(desk: Stage) -> None:
    token = Tokens(DevelopmentIssuer(None, "shop"), desk.clock).issue("ann")

    assert (await ask(desk, token)).status_code == 401


async def test_a_tenants_issuer_speaks_for_that_tenant_alone(desk: Stage) -> None:
    def token(**said: Any) -> str:
        return sign(header(alg="ES256", kid="ec-1"), claims(iss=TENANT, **said), EC, "ES256")

    assert (await ask(desk, token())).status_code == 200
    assert (await ask(desk, token(tenant="acme"))).status_code == 200
    assert (await ask(desk, token(tenant="other"))).status_code == 401


async def test_guessing_leaves_no_trace_in_memory() -> None:
    verifier = Verifier(issuers(), VirtualClock())
    before = len(verifier._known)

    for number in range(2000):
        with pytest.raises(Unauthenticated):
            await verifier.verify(
                f"{write(header())}.{write(claims(jti=number))}.{b64(hashlib.sha256(b'%d' % number).digest() * 8)}"
            )

    assert len(verifier._known) == before == 0
