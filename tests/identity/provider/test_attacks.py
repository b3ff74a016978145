"""Codes, refresh tokens and assertions in the wrong hands."""

from __future__ import annotations

import base64
import hmac
import json
import uuid
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

CODE = "authorization_code"


def redeeming(world: Any, code: str, **changes: str) -> dict[str, str]:
    said = {"grant_type": CODE, "code": code, "redirect_uri": world.CALLBACK, "code_verifier": world.VERIFIER}
    return {name: value for name, value in {**said, **changes}.items() if value}


async def test_a_code_used_twice_ends_all_that_came_of_it(world: Any) -> None:
    client, secret = await world.client()
    code = (await world.allowed(client))["code"]
    first = (await world.token(client, secret, **redeeming(world, code))).json()

    second = await world.token(client, secret, **redeeming(world, code))
    refresh = await world.token(client, secret, grant_type="refresh_token", refresh_token=first["refresh_token"])
    http = await world.http()
    known = await http.post("/introspect", data={"token": first["access_token"]}, auth=(client.id, secret))

    assert second.status_code == refresh.status_code == 400
    assert second.json()["error"] == refresh.json()["error"] == "invalid_grant"
    assert known.json() == {"active": False}
    headers = {"authorization": f"Bearer {first['access_token']}"}
    assert (await http.get("/me", headers=headers)).status_code == 401


async def test_a_refresh_token_used_twice_ends_all_that_came_of_it(world: Any) -> None:
    client, secret = await world.client()
    first = await world.exchanged(client, secret)
    stolen = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = (await world.token(client, secret, **stolen)).json()

    again = await world.token(client, secret, **stolen)
    thief = await world.token(client, secret, grant_type="refresh_token", refresh_token=second["refresh_token"])

    assert again.json()["error"] == thief.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://client.example/other"}, {"redirect_uri": ""}, {"code_verifier": ""},
        {"code_verifier": "w" * 43}, {"code": "0" * 64}, {"code": ""},
    ],
)  # fmt: skip
async def test_a_code_is_good_for_its_address_and_verifier_only(world: Any, changes: dict[str, str]) -> None:
    client, secret = await world.client()
    code = (await world.allowed(client))["code"]

    wrong = await world.token(client, secret, **{**redeeming(world, code), **changes})
    right = await world.token(client, secret, **redeeming(world, code))

    assert wrong.json()["error"] == "invalid_grant"
    assert right.status_code == 200


async def test_the_challenge_itself_is_no_verifier(world: Any) -> None:
    client, secret = await world.client()
    code = (await world.allowed(client))["code"]

    wrong = redeeming(world, code, code_verifier=world.challenge(world.VERIFIER))

    assert (await world.token(client, secret, **wrong)).json()["error"] == "invalid_grant"


async def test_a_code_is_good_for_its_client_only(world: Any) -> None:
    client, _ = await world.client()
    other, secret = await world.client("Other")
    code = (await world.allowed(client))["code"]

    assert (await world.token(other, secret, **redeeming(world, code))).json()["error"] == "invalid_grant"


async def test_a_code_and_a_sign_in_expire(world: Any) -> None:
    client, secret = await world.client()
    code = (await world.allowed(client))["code"]
    token = await world.exchanged(client, secret)

    await world.stage.clock.advance(61)
    late = await world.token(client, secret, **redeeming(world, code))
    await world.stage.clock.advance(30 * 86400)
    later = await world.token(client, secret, grant_type="refresh_token", refresh_token=token["refresh_token"])

    assert late.json()["error"] == later.json()["error"] == "invalid_grant"


async def test_a_refresh_token_is_good_for_its_client_only(world: Any) -> None:
    client, secret = await world.client()
    other, others = await world.client("Other")
    token = await world.exchanged(client, secret)
    asked = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}

    wrong = await world.token(other, others, **asked)
    right = await world.token(client, secret, **asked)

    assert wrong.json()["error"] == "invalid_grant"
    assert right.status_code == 200


async def test_a_refresh_gives_no_more_than_was_allowed(world: Any) -> None:
    client, secret = await world.client(scopes=("orders:read",))
    token = await world.exchanged(client, secret, scope="openid")
    asked = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}

    more = await world.token(client, secret, **asked, scope="openid orders:read")

    assert more.json()["error"] == "invalid_scope"


async def test_who_is_gone_gets_no_more_tokens(world: Any) -> None:
    client, secret = await world.client()
    token = await world.exchanged(client, secret)
    del world.people.people["ann"]

    refreshed = await world.token(client, secret, grant_type="refresh_token", refresh_token=token["refresh_token"])

    assert refreshed.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("grant", ["password", "implicit", "", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
async def test_other_grants_are_refused(world: Any, grant: str) -> None:
    client, secret = await world.client()

    answer = await world.token(client, secret, grant_type=grant, username="ann", password="ann's password")

    assert answer.status_code == 400
    assert answer.json()["error"] == "unsupported_grant_type"


async def test_a_client_asks_in_its_own_ways_only(world: Any) -> None:
    client, secret = await world.client()

    answer = await world.token(client, secret, grant_type="client_credentials")

    assert answer.json()["error"] == "unauthorized_client"


async def test_a_client_that_does_not_prove_itself_is_401(world: Any) -> None:
    client, secret = await world.client(grants=("client_credentials",), redirects=())
    http = await world.http()
    ask = {"grant_type": "client_credentials"}

    wrong = [
        await http.post("/token", data=ask, auth=(client.id, "wrong")),
        await http.post("/token", data=ask, auth=("cli_unknown", secret)),
        await http.post("/token", data={**ask, "client_id": client.id}),
        await http.post("/token", data={**ask, "client_id": client.id, "client_secret": "wrong"}),
        await http.post("/token", data=ask, headers={"authorization": "Basic ???"}),
        await http.post("/token", data=ask),
    ]

    assert {one.status_code for one in wrong} == {401}
    assert {one.text for one in wrong} == {wrong[0].text}
    assert wrong[0].json()["error"] == "invalid_client"
    assert wrong[0].headers["www-authenticate"].startswith("Basic")


async def test_a_client_proves_itself_in_one_way(world: Any) -> None:
    client, secret = await world.client(grants=("client_credentials",), redirects=())
    http = await world.http()
    ask = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": secret}

    assert (await http.post("/token", data=ask, auth=(client.id, secret))).json()["error"] == "invalid_request"


async def test_a_client_with_a_secret_cannot_leave_it_out(world: Any) -> None:
    client, _ = await world.client()
    code = (await world.allowed(client))["code"]

    assert (await world.token(client, **redeeming(world, code))).status_code == 401


# -- assertions


class Signer:
    def __init__(self, world: Any) -> None:
        self.world = world
        self.key = ECKey.generate_key("P-256")
        self.jwks = json.dumps({"keys": [self.key.as_dict(private=False)]})

    def assertion(self, client: str, key: Any = None, alg: str = "ES256", **changes: Any) -> str:
        now = int(self.world.stage.clock.now().timestamp())
        said = {
            "iss": client, "sub": client, "aud": f"{self.world.ISSUER}/token", "exp": now + 60, "iat": now,
            "jti": uuid.uuid4().hex, **changes,
        }  # fmt: skip
        return jwt.encode({"alg": alg}, said, key or self.key, algorithms=[alg])

    async def ask(self, assertion: str) -> Any:
        return await (await self.world.http()).post(
            "/token",
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion,
            },
        )


async def test_an_assertion_is_good_once(world: Any) -> None:
    signer = Signer(world)
    client, _ = await world.client(
        grants=("client_credentials",), redirects=(), method="private_key_jwt", jwks=signer.jwks
    )
    one = signer.assertion(client.id)

    first, second = await signer.ask(one), await signer.ask(one)

    assert (first.status_code, second.status_code) == (200, 401)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example/token"}, {"exp": 0}, {"exp": 2**40}, {"iss": "cli_other"}, {"jti": ""},
        {"iat": 2**40}, {"exp": "soon"}, {"sub": "cli_other", "iss": "cli_other"},
    ],
)  # fmt: skip
async def test_an_assertion_is_for_us_and_for_now(world: Any, changes: dict[str, Any]) -> None:
    signer = Signer(world)
    client, _ = await world.client(
        grants=("client_credentials",), redirects=(), method="private_key_jwt", jwks=signer.jwks
    )

    assert (await signer.ask(signer.assertion(client.id, **changes))).status_code == 401


async def test_an_assertion_is_signed_by_the_clients_own_key(world: Any) -> None:
    signer = Signer(world)
    client, _ = await world.client(
        grants=("client_credentials",), redirects=(), method="private_key_jwt", jwks=signer.jwks
    )
    signed = signer.assertion(client.id).encode().split(b".")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=") + b"." + signed[1]
    confused = hmac.digest(signer.key.as_pem(private=False), head, "sha256")
    nothing = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=") + b"." + signed[1] + b"."
    wrong = [
        signer.assertion(client.id, ECKey.generate_key("P-256")),
        (head + b"." + base64.urlsafe_b64encode(confused).rstrip(b"=")).decode(),
        nothing.decode(),
        signer.assertion(client.id).rpartition(".")[0] + ".",
        signer.assertion(client.id).rpartition(".")[0] + "." + "A" * 86,
        "a.b.c",
        "x",
    ]

    assert [(await signer.ask(one)).status_code for one in wrong] == [401] * len(wrong)


# -- tokens for others


async def test_a_token_is_for_whom_it_was_asked(world: Any) -> None:
    client, secret = await world.client(
        grants=("client_credentials",), redirects=(), resources=("https://pay.example",)
    )
    http = await world.http()

    ours = (await world.token(client, secret, grant_type="client_credentials")).json()["access_token"]
    theirs = (
        await world.token(client, secret, grant_type="client_credentials", resource="https://pay.example")
    ).json()["access_token"]
    nobodys = await world.token(client, secret, grant_type="client_credentials", resource="https://bank.example")

    assert (await world.claims(theirs))["aud"] == "https://pay.example"
    assert (await http.get("/me", headers={"authorization": f"Bearer {ours}"})).status_code == 200
    assert (await http.get("/me", headers={"authorization": f"Bearer {theirs}"})).status_code == 401
    assert nobodys.json()["error"] == "invalid_target"


async def test_no_other_token_is_an_access_token(world: Any) -> None:
    client, secret = await world.client()
    token = await world.exchanged(client, secret)
    http = await world.http()

    for one in (token["id_token"], token["refresh_token"], token["access_token"][:-2], "x"):
        assert (await http.get("/me", headers={"authorization": f"Bearer {one}"})).status_code == 401
        info = await http.get("/userinfo", headers={"authorization": f"Bearer {one}"})
        assert info.status_code == 401
        assert info.headers["www-authenticate"] == 'Bearer realm="shop", error="invalid_token"'


async def test_userinfo_needs_openid_and_tells_what_was_allowed(world: Any) -> None:
    client, secret = await world.client(scopes=("orders:read",))
    http = await world.http()
    little = await world.exchanged(client, secret, scope="openid")
    none = await world.exchanged(client, secret, scope="orders:read")

    known = await http.post("/userinfo", data={"access_token": little["access_token"]})
    refused = await http.get("/userinfo", headers={"authorization": f"Bearer {none['access_token']}"})

    assert known.json() == {"sub": "acc_ann"}
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    assert "id_token" not in none


async def test_a_token_is_introspected_by_those_whom_it_concerns(world: Any) -> None:
    client, secret = await world.client()
    of_tenant, others = await world.client("Other", realm="acme")
    public, _ = await world.client("Public", method="none")
    token = (await world.exchanged(client, secret))["access_token"]
    http = await world.http()

    foreign = await http.post("/introspect", data={"token": token}, auth=(of_tenant.id, others))
    nobody = await http.post("/introspect", data={"token": token, "client_id": public.id})

    assert foreign.json() == {"active": False}
    assert nobody.status_code == 401


async def test_a_token_is_revoked_by_its_client_only(world: Any) -> None:
    client, secret = await world.client()
    other, others = await world.client("Other")
    token = await world.exchanged(client, secret)
    http = await world.http()

    async def active() -> bool:
        told = await http.post("/introspect", data={"token": token["access_token"]}, auth=(client.id, secret))
        return told.json()["active"]

    for one in (token["access_token"], token["refresh_token"], "unknown"):
        assert (await http.post("/revoke", data={"token": one}, auth=(other.id, others))).status_code == 200
    assert await active()
    headers = {"authorization": f"Bearer {token['access_token']}"}
    assert (await http.get("/me", headers=headers)).status_code == 200
    assert (await http.post("/revoke", data={"token": token["access_token"]}, auth=(client.id, secret))).is_success
    assert not await active()
    assert (await http.get("/me", headers=headers)).status_code == 401
