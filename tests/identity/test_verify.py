"""What a verifier believes, and what it refuses: always as 401, never as an error of ours."""

from __future__ import annotations

import hmac
import json
import zlib
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from enfilade.clock import VirtualClock
from enfilade.errors import StartError, Unauthenticated
from enfilade.identity import Verifier
from enfilade.identity.verify import INVALID


async def refused(verifier: Verifier, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(token)

    refusal = caught.value
    assert refusal.challenge == f'error="invalid_token", error_description="{INVALID}"'
    assert refusal.detail == INVALID
    assert verifier.recall(token) is None
    return refusal


async def test_a_good_token_names_its_subject_with_its_rights(forge: Any) -> None:
    token = forge.token(
        forge.claims(scope="orders:read orders:write", scp=["a"], roles=["editor"], tenant="acme", client_id="web")
    )

    principal = await forge.verifier().verify(token)

    assert principal.subject == "alice"
    assert principal.kind == "user"
    assert principal.scopes == {"orders:read", "orders:write", "a"}
    assert principal.roles == {"editor"}
    assert principal.tenant == "acme"
    assert principal.issuer == "https://id.example"


async def test_es256_and_an_audience_among_several_pass(forge: Any) -> None:
    token = forge.sign(forge.claims(aud=["mail", "shop"]), forge.header(alg="ES256", kid="ec-1"), forge.ec, "ES256")

    assert (await forge.verifier().verify(token)).subject == "alice"


async def test_scopes_may_come_as_one_text_in_scp(forge: Any) -> None:
    principal = await forge.verifier().verify(forge.token(forge.claims(scp="a b")))

    assert principal.scopes == {"a", "b"}


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"kind": "agent"}, "agent"),
        ({"kind": "service"}, "service"),
        ({"client_id": "alice"}, "service"),
        ({"client_id": "web"}, "user"),
        ({"kind": 7}, "user"),
        ({"kind": ["agent"]}, "user"),
    ],
)
async def test_the_kind_of_a_caller_follows_from_the_claims(forge: Any, claims: dict[str, Any], kind: str) -> None:
    assert (await forge.verifier().verify(forge.token(forge.claims(**claims)))).kind == kind


async def test_a_key_id_may_be_left_out_where_there_is_one_key(forge: Any) -> None:
    one = forge.verifier(keys=(forge.public[0],))
    token = forge.token(header=forge.header(kid=None))

    assert (await one.verify(token)).subject == "alice"
    await refused(forge.verifier(), token)


WRONG_CLAIMS = {
    "expired": {"exp": 1},
    "no exp": {"exp": None},
    "exp as text": {"exp": "9999999999"},
    "exp true": {"exp": True},
    "exp as a list": {"exp": [9999999999]},
    "exp beyond numbers": {"exp": 10**400},
    "exp far beyond dates": {"exp": 1e300},
    "negative exp": {"exp": -1},
    "not yet valid": {"nbf": 99999999999},
    "nbf as text": {"nbf": "0"},
    "issued in the future": {"iat": 99999999999},
    "no issuer": {"iss": None},
    "another issuer": {"iss": "https://evil.example"},
    "issuer with a slash more": {"iss": "https://id.example/"},
    "issuer as a list": {"iss": ["https://id.example"]},
    "no audience": {"aud": None},
    "empty audience": {"aud": []},
    "another service's audience": {"aud": "mail"},
    "other services' audiences": {"aud": ["mail", "shop2"]},
    "audience as an object": {"aud": {"shop": 1}},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "subject as a number": {"sub": 7},
    "scope as a number": {"scope": 7},
    "roles as text": {"roles": "admin"},
    "tenant as a list": {"tenant": ["acme"]},
    "an ID token by its nonce": {"nonce": "n"},
    "an ID token by its use": {"token_use": "id"},
    "an ID token by its typ": {"typ": "ID"},
    "a refresh token by its typ": {"typ": "Refresh"},
    "a refresh token by its use": {"token_use": "refresh"},
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
async def test_wrong_claims_are_refused(forge: Any, wrong: dict[str, Any]) -> None:
    await refused(forge.verifier(), forge.token(forge.claims(**wrong)))


async def test_a_claim_of_null_is_no_claim(forge: Any) -> None:
    await refused(forge.verifier(), forge.token({**forge.claims(), "exp": None}))


RAW_CLAIMS = {
    "infinite exp": '{"iss":"https://id.example","sub":"a","aud":"shop","exp":1e400}',
    "exp NaN": '{"iss":"https://id.example","sub":"a","aud":"shop","exp":NaN}',
    "exp Infinity": '{"iss":"https://id.example","sub":"a","aud":"shop","exp":Infinity}',
    "a member twice": '{"iss":"https://id.example","sub":"a","sub":"root","aud":"shop","exp":9999999999}',
    "a nested member twice": '{"iss":"https://id.example","sub":"a","aud":"shop","exp":9999999999,"x":{"y":1,"y":2}}',
    "not JSON": "{",
    "not an object": "[1]",
    "a text": '"alice"',
    "deep": "[" * 2500 + "]" * 2500,
    "deep object": '{"a":' * 800 + "1" + "}" * 800,
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("raw", RAW_CLAIMS.values(), ids=RAW_CLAIMS)
async def test_claims_that_are_no_proper_json_are_refused(forge: Any, raw: str | bytes) -> None:
    await refused(forge.verifier(), forge.token(raw))


WRONG_HEADERS = {
    "none": {"alg": "none"},
    "nOnE": {"alg": "nOnE"},
    "NONE": {"alg": "NONE"},
    "no algorithm": {"alg": None},
    "algorithm as a list": {"alg": ["RS256"]},
    "an algorithm that was not allowed": {"alg": "RS512"},
    "jku": {"jku": "https://evil.example/jwks.json"},
    "x5u": {"x5u": "https://evil.example/cert.pem"},
    "jwk": {"jwk": {"kty": "oct", "k": "AAAA"}},
    "x5c": {"x5c": ["MII="]},
    "unknown crit": {"crit": ["exp"], "exp": 1},
    "empty crit": {"crit": []},
    "b64 false": {"b64": False, "crit": ["b64"]},
    "b64 true": {"b64": True},
    "kid path": {"kid": "../../../../dev/null"},
    "kid SQL": {"kid": "x' UNION SELECT 'AA"},
    "kid empty": {"kid": ""},
    "kid number": {"kid": 1},
    "kid object": {"kid": {"a": 1}},
    "unknown kid": {"kid": "rsa-2"},
    "kid of the other key": {"kid": "ec-1"},
    "no typ": {"typ": None},
    "an ID token's typ": {"typ": "JWT"},
    "typ as a list": {"typ": ["at+jwt"]},
    "a refresh token's typ": {"typ": "rt+jwt"},
}


@pytest.mark.parametrize("wrong", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
async def test_wrong_headers_are_refused(forge: Any, wrong: dict[str, Any]) -> None:
    await refused(forge.verifier(), forge.token(header=forge.header(**wrong)))


async def test_a_header_that_says_something_twice_is_refused(forge: Any) -> None:
    await refused(forge.verifier(), forge.token(header='{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"rsa-1"}'))


async def test_header_members_that_nobody_knows_are_passed_over(forge: Any) -> None:
    token = forge.token(header=forge.header(x5t="abc", org="acme"))

    assert (await forge.verifier().verify(token)).subject == "alice"


SHAPES = {
    "empty": "",
    "one part": "abc",
    "two parts": "{0}.{1}",
    "no signature": "{0}.{1}.",
    "four parts": "{0}.{1}.{2}.{2}",
    "five parts": "{0}.{1}.{2}.{0}.{1}",
    "space before": " {0}.{1}.{2}",
    "newline after": "{0}.{1}.{2}\n",
    "newline within": "{0}.\n{1}.{2}",
    "tab within": "{0}.{1}\t.{2}",
    "padding": "{0}==.{1}.{2}",
    "zero byte": "{0}.{1}.{2}\x00",
    "other letters": "{0}.{1}.{2}é",
    "odd length": "a.{1}.{2}",
    "no payload": "{0}..{2}",
    "the wrong way round": "{1}.{0}.{2}",
    "another signature": "{0}.{1}.AAAA",
    "signature of zeros": "{0}.{1}." + "A" * 342,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_what_is_no_token_is_refused(forge: Any, shape: str) -> None:
    await refused(forge.verifier(), shape.format(*forge.token().split(".")))


async def test_a_token_of_a_megabyte_is_refused_unread(forge: Any) -> None:
    await refused(forge.verifier(), forge.token(header=forge.header(kid="k" * 1_000_000)))
    await refused(forge.verifier(), forge.token(forge.claims(note="x" * 8000)))


async def test_a_changed_payload_is_refused(forge: Any) -> None:
    header, _, signature = forge.token().split(".")
    payload = forge.b64(json.dumps(forge.claims(sub="root")))

    await refused(forge.verifier(), f"{header}.{payload}.{signature}")


async def test_hs256_keyed_with_the_public_key_is_refused(forge: Any) -> None:
    signed = ".".join(forge.b64(json.dumps(part)) for part in (forge.header(alg="HS256"), forge.claims()))
    signature = hmac.digest(forge.rsa.as_pem(private=False), signed.encode(), "sha256")

    await refused(forge.verifier(), f"{signed}.{forge.b64(signature)}")


async def test_an_ecdsa_signature_of_zeros_is_refused(forge: Any) -> None:
    header, payload, _ = forge.sign(None, forge.header(alg="ES256", kid="ec-1"), forge.ec, "ES256").split(".")

    for signature in (bytes(64), bytes(63), b"\0" * 31 + b"\1" + b"\0" * 31 + b"\1"):
        await refused(forge.verifier(), f"{header}.{payload}.{forge.b64(signature)}")


async def test_another_key_under_the_same_id_is_refused(forge: Any) -> None:
    other = ECKey.generate_key("P-256", {"kid": "ec-1"})

    await refused(forge.verifier(), forge.sign(None, forge.header(alg="ES256", kid="ec-1"), other, "ES256"))


@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_an_rsa_key_under_2048_bits_is_never_used(forge: Any) -> None:
    weak = RSAKey.generate_key(1024, {"kid": "weak"})
    keys = (*forge.public, weak.as_dict(private=False))

    await refused(forge.verifier(keys=keys), forge.sign(None, forge.header(kid="weak"), weak, "RS256"))
    with pytest.raises(StartError, match="none of the keys"):
        forge.verifier(keys=(weak.as_dict(private=False),))


async def test_a_shared_secret_among_the_keys_is_never_used(forge: Any) -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    verifier = forge.verifier(keys=(*forge.public, secret.as_dict()))

    for algorithm in ("HS256", "RS256"):
        token = forge.sign(None, forge.header(alg="HS256", kid="shared"), secret, "HS256")
        head = forge.b64(json.dumps(forge.header(alg=algorithm, kid="shared")))
        await refused(verifier, ".".join([head, *token.split(".")[1:]]))


async def test_a_key_for_encryption_or_another_algorithm_is_never_used(forge: Any) -> None:
    for mark in ({"use": "enc"}, {"alg": "RS512"}, {"alg": "HS256"}):
        with pytest.raises(StartError, match="none of the keys"):
            forge.verifier(keys=({**forge.public[0], **mark},))


async def test_an_encrypted_token_and_its_zip_bomb_are_refused_unopened(forge: Any) -> None:
    key = OctKey.generate_key(256)
    bomb = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, zlib.compress(b"x" * 10_000_000)[:4000], key)

    await refused(forge.verifier(), bomb)


async def test_where_an_issuer_says_jwt_a_missing_type_passes_and_an_id_token_does_not(forge: Any) -> None:
    verifier = forge.verifier(types=("at+jwt", "JWT"))

    assert (await verifier.verify(forge.token(header=forge.header(typ=None)))).subject == "alice"
    assert (await verifier.verify(forge.token(header=forge.header(typ="jwt")))).subject == "alice"
    await refused(verifier, forge.token(forge.claims(nonce="n"), forge.header(typ="JWT")))


async def test_the_long_form_of_the_type_is_the_same_type(forge: Any) -> None:
    assert (
        await forge.verifier().verify(forge.token(header=forge.header(typ="application/AT+JWT")))
    ).subject == "alice"


async def test_an_issuer_of_one_tenant_speaks_for_no_other(forge: Any) -> None:
    verifier = forge.verifier(tenant="acme")

    assert (await verifier.verify(forge.token())).tenant == "acme"
    assert (await verifier.verify(forge.token(forge.claims(tenant="acme")))).tenant == "acme"
    await refused(verifier, forge.token(forge.claims(tenant="other")))


async def test_subjects_of_two_issuers_are_kept_apart_by_a_prefix(forge: Any) -> None:
    assert (await forge.verifier(prefix="partner:").verify(forge.token())).subject == "partner:alice"


async def test_an_issuer_that_stands_twice_is_a_start_error(forge: Any) -> None:
    with pytest.raises(StartError, match="stands twice"):
        Verifier([forge.issuer(), forge.issuer()], forge.clock)


async def test_a_token_holds_till_it_expires_and_for_the_skew_after(forge: Any, clock: VirtualClock) -> None:
    verifier = forge.verifier(skew=10)
    token = forge.token(forge.claims(exp=int(clock.now().timestamp()) + 600.5))
    await verifier.verify(token)

    await clock.advance(610)
    assert (await verifier.verify(token)).subject == "alice"

    await clock.advance(1)
    await refused(verifier, token)


async def test_times_that_are_off_by_less_than_the_skew_pass(forge: Any, clock: VirtualClock) -> None:
    now = int(clock.now().timestamp())

    assert await forge.verifier().verify(forge.token(forge.claims(nbf=now + 29, iat=now + 29)))
    await refused(forge.verifier(), forge.token(forge.claims(nbf=now + 31)))


async def test_a_verified_token_is_recalled_for_a_minute_and_never_past_its_end(
    forge: Any, clock: VirtualClock
) -> None:
    verifier = forge.verifier(skew=0)
    now = int(clock.now().timestamp())
    long, short = forge.token(), forge.token(forge.claims(exp=now + 20))
    principal = await verifier.verify(long)
    await verifier.verify(short)

    assert verifier.recall(long) is principal
    await clock.advance(20)
    assert verifier.recall(long) is principal
    assert verifier.recall(short) is None
    await clock.advance(40)
    assert verifier.recall(long) is None


async def test_forget_makes_every_token_be_verified_again(forge: Any) -> None:
    verifier = forge.verifier()
    token = forge.token()
    await verifier.verify(token)

    verifier.forget()

    assert verifier.recall(token) is None


async def test_no_more_tokens_are_recalled_than_there_is_room_for(forge: Any) -> None:
    verifier = Verifier([forge.issuer()], forge.clock, size=3)
    tokens = [forge.token(forge.claims(sub=f"user-{number}")) for number in range(5)]
    for token in tokens:
        await verifier.verify(token)

    assert [verifier.recall(token) is not None for token in tokens] == [False, False, True, True, True]


async def test_why_a_token_is_refused_is_told_to_the_log_alone_and_without_the_token(forge: Any, caplog: Any) -> None:
    caplog.set_level("INFO", "enfilade.identity")
    await refused(forge.verifier(), forge.token(forge.claims(iss='"x", evil="1')))
    await refused(forge.verifier(), forge.token(forge.claims(aud="evil")))
    await refused(forge.verifier(), forge.token('{"iss": evil}'))

    assert [record.getMessage() for record in caplog.records] == [
        "a token was refused: its issuer is not one of ours",
        "a token was refused: it is for somebody else",
        "a token was refused: it is malformed",
    ]
