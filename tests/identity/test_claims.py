"""What tokens say, wherever their issuer has it: as the tokens of several vendors look."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from enfilade.call import Principal
from enfilade.clock import VirtualClock
from enfilade.errors import Unauthenticated
from enfilade.identity import Issuer, Verifier

NOW = int(VirtualClock().now().timestamp())
TIMES = {"iat": NOW, "nbf": NOW, "exp": NOW + 300}

KEYCLOAK = {
    "settings": {
        "url": "https://sso.example/realms/acme",
        "audience": "shop",
        "types": ["JWT"],
        "tenant": "acme",
        "claims": {"roles": ["realm_access.roles", "resource_access.shop.roles"]},
    },
    "claims": {
        **TIMES,
        "jti": "onrtac:6f1b", "iss": "https://sso.example/realms/acme", "aud": ["shop", "account"],
        "sub": "f3a1c1a2-6a0e-4f5e-9c8e-2f7c1f0c9a11", "typ": "Bearer", "azp": "shop-web",
        "sid": "0b6f9d1e", "acr": "1", "auth_time": NOW - 60, "allowed-origins": ["https://shop.example"],
        "realm_access": {"roles": ["offline_access", "editor"]},
        "resource_access": {"shop": {"roles": ["orders-admin"]}, "account": {"roles": ["view-profile"]}},
        "scope": "openid profile email", "email_verified": True, "preferred_username": "ann",
    },
    "principal": Principal(
        subject="f3a1c1a2-6a0e-4f5e-9c8e-2f7c1f0c9a11", tenant="acme", issuer="https://sso.example/realms/acme",
        roles=frozenset({"offline_access", "editor", "orders-admin"}), scopes=frozenset({"openid", "profile", "email"}),
        client="shop-web", authenticated=NOW - 60.0, assurance="1",
    ),
}  # fmt: skip

ENTRA = {
    "settings": {
        "url": "https://login.microsoftonline.com/72f988bf/v2.0",
        "audience": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
        "types": ["JWT"],
        "claims": {"subject": "oid", "tenant": "tid", "kind": "idtyp"},
    },
    "claims": {
        **TIMES,
        "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "iss": "https://login.microsoftonline.com/72f988bf/v2.0",
        "aio": "AXQAi/8IAAAA", "azp": "6e74172b", "azpacr": "0", "name": "Ann", "oid": "690222be", "rh": "0.ASgA",
        "preferred_username": "ann@shop.example", "roles": ["Orders.Approve"], "scp": "Orders.Read Orders.Write",
        "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": "72f988bf", "uti": "fqiBqXLPj0", "ver": "2.0",
    },
    "principal": Principal(
        subject="690222be", tenant="72f988bf", issuer="https://login.microsoftonline.com/72f988bf/v2.0",
        roles=frozenset({"Orders.Approve"}), scopes=frozenset({"Orders.Read", "Orders.Write"}), client="6e74172b",
    ),
}  # fmt: skip

ENTRA_DAEMON = {
    "settings": ENTRA["settings"],
    "claims": {
        **{name: value for name, value in ENTRA["claims"].items() if name not in ("scp", "name")},
        "oid": "d1f3", "sub": "d1f3", "idtyp": "app", "roles": ["Orders.Read.All"],
    },
    "principal": Principal(
        subject="d1f3", kind="service", tenant="72f988bf", issuer="https://login.microsoftonline.com/72f988bf/v2.0",
        roles=frozenset({"Orders.Read.All"}), client="6e74172b",
    ),
}  # fmt: skip

AUTH0 = {
    "settings": {
        "url": "https://shop.eu.auth0.com/",
        "audience": "https://api.shop.example",
        "types": ["JWT"],
        "claims": {
            "scopes": ["scope", "permissions"],
            "roles": ["https://shop.example/roles"],
            "tenant": "https://shop.example/tenant",
            "kind": "gty",
        },
    },
    "claims": {
        **TIMES,
        "iss": "https://shop.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "azp": "wGk9Xv",
        "aud": ["https://api.shop.example", "https://shop.eu.auth0.com/userinfo"], "scope": "openid orders:read",
        "permissions": ["orders:write"], "https://shop.example/roles": ["editor"],
        "https://shop.example/tenant": "acme", "gty": "password",
    },
    "principal": Principal(
        subject="auth0|5f7c8ec7c33c6c004bbafe82", tenant="acme", issuer="https://shop.eu.auth0.com/",
        roles=frozenset({"editor"}), scopes=frozenset({"openid", "orders:read", "orders:write"}), client="wGk9Xv",
    ),
}  # fmt: skip

COGNITO = {
    "settings": {
        "url": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_aB3dE5fG7",
        "audience": ["6fj2mobile", "7gk3web"],
        "types": ["JWT"],
        "claims": {"audience": "client_id", "roles": ["cognito:groups"]},
    },
    "claims": {
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["editors"], "version": 2,
        "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_aB3dE5fG7", "client_id": "7gk3web",
        "origin_jti": "bb17", "event_id": "64f5", "token_use": "access", "scope": "orders/read", "auth_time": NOW,
        "exp": NOW + 300, "iat": NOW, "jti": "cc11", "username": "ann",
    },
    "principal": Principal(
        subject="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", roles=frozenset({"editors"}), scopes=frozenset({"orders/read"}),
        issuer="https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_aB3dE5fG7", client="7gk3web",
        authenticated=float(NOW),
    ),
}  # fmt: skip

VENDORS: dict[str, Any] = {
    "keycloak": KEYCLOAK, "entra": ENTRA, "entra daemon": ENTRA_DAEMON, "auth0": AUTH0, "cognito": COGNITO,
}  # fmt: skip


def believe(forge: Any, settings: dict[str, Any]) -> Verifier:
    return Verifier([msgspec.convert({**settings, "keys": forge.public}, Issuer)], forge.clock)


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
async def test_a_token_of_another_vendor_is_believed_by_configuration_alone(forge: Any, vendor: dict[str, Any]) -> None:
    typ = None if "cognito" in vendor["settings"]["url"] else "JWT"

    principal = await believe(forge, vendor["settings"]).verify(forge.token(vendor["claims"], forge.header(typ=typ)))

    assert principal == vendor["principal"]


ID_TOKENS: dict[str, dict[str, Any]] = {
    "keycloak": {"typ": "ID", "at_hash": "x", "aud": "shop"},
    "keycloak, the least of it": {"at_hash": "x"},
    "entra": {"nonce": "n", "scp": None},
    "auth0": {"aud": "wGk9Xv", "nonce": "n"},
    "cognito": {"token_use": "id", "client_id": None, "aud": "7gk3web"},
    "a logout token": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "sid": "0b6f"},
    "keycloak's refresh token": {"typ": "Refresh", "aud": "https://sso.example/realms/acme"},
}


@pytest.mark.parametrize("case", ID_TOKENS)
async def test_another_token_of_that_vendor_is_no_access_token(forge: Any, case: str) -> None:
    vendor = VENDORS.get(case.split(",")[0].split("'")[0], KEYCLOAK)
    claims = {name: value for name, value in {**vendor["claims"], **ID_TOKENS[case]}.items() if value is not None}

    with pytest.raises(Unauthenticated):
        await believe(forge, vendor["settings"]).verify(forge.token(claims, forge.header(typ="JWT")))


async def test_a_tenant_that_the_settings_ask_for_must_be_there(forge: Any) -> None:
    claims: dict[str, Any] = dict(ENTRA["claims"])
    verifier = believe(forge, ENTRA["settings"])

    for tenant in (None, "", 7, ["72f988bf"]):
        with pytest.raises(Unauthenticated):
            await verifier.verify(forge.token({**claims, "tid": tenant}, forge.header(typ="JWT")))


async def test_a_place_that_is_not_there_says_nothing_and_one_of_another_type_is_refused(forge: Any) -> None:
    verifier = believe(forge, KEYCLOAK["settings"])
    claims: dict[str, Any] = dict(KEYCLOAK["claims"])

    for access in ({}, {"roles": None}, [], "editor", 7):
        token = forge.token({**claims, "realm_access": access, "resource_access": {}}, forge.header(typ="JWT"))
        assert (await verifier.verify(token)).roles == frozenset()
    for roles in ("admin", {"admin": 1}, ["admin", 7], 7):
        with pytest.raises(Unauthenticated):
            token = forge.token({**claims, "realm_access": {"roles": roles}}, forge.header(typ="JWT"))
            await verifier.verify(token)


async def test_who_acts_for_whom_is_known_nearest_first(forge: Any) -> None:
    chain = {"sub": "assistant", "act": {"sub": "scheduler", "iss": "https://id.example"}}

    principal = await forge.verifier().verify(forge.token(forge.claims(act=chain)))

    assert principal.subject == "alice"
    assert principal.actors == ("assistant", "scheduler")


async def test_a_chain_of_actors_that_is_no_chain_is_refused(forge: Any) -> None:
    endless: dict[str, Any] = {"sub": "last"}
    for _ in range(10):
        endless = {"sub": "next", "act": endless}

    for act in (endless, {}, {"sub": ""}, {"sub": 7}, "assistant", ["assistant"], {"sub": "a", "act": "b"}):
        with pytest.raises(Unauthenticated):
            await forge.verifier().verify(forge.token(forge.claims(act=act)))


async def test_when_and_how_well_he_proved_himself_is_known(forge: Any) -> None:
    now = int(forge.clock.now().timestamp())

    principal = await forge.verifier().verify(forge.token(forge.claims(auth_time=now - 5, acr="urn:mfa", azp="web")))

    assert (principal.authenticated, principal.assurance, principal.client) == (now - 5.0, "urn:mfa", "web")
    for wrong in ({"auth_time": "now"}, {"auth_time": now + 31}, {"auth_time": -1}, {"acr": 2}, {"azp": 7}):
        with pytest.raises(Unauthenticated):
            await forge.verifier().verify(forge.token(forge.claims(**wrong)))


async def test_actors_of_an_issuer_with_a_prefix_have_it_too(forge: Any) -> None:
    principal = await forge.verifier(prefix="partner:").verify(forge.token(forge.claims(act={"sub": "bot"})))

    assert principal.actors == ("partner:bot",)


async def test_an_audience_in_another_claim_is_asked_for_there_alone(forge: Any) -> None:
    verifier = forge.verifier(claims=msgspec.convert({"audience": "client_id"}, type(forge.issuer().claims)))

    assert (await verifier.verify(forge.token(forge.claims(aud=None, client_id="shop")))).subject == "alice"
    for wrong in ({"aud": "shop"}, {"aud": "shop", "client_id": "mail"}, {"client_id": None}):
        with pytest.raises(Unauthenticated):
            await verifier.verify(forge.token(forge.claims(**wrong)))
