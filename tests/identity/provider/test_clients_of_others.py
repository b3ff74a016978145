"""A client that nobody here wrote gets through every flow."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import RSAKey

MACHINE = ("client_credentials",)


async def test_code_with_pkce_gives_tokens_that_the_app_believes(world: Any) -> None:
    client, secret = await world.client()
    oauth = await world.oauth(client, secret, scope="openid profile email")
    browser = await world.browser()
    url, state = oauth.create_authorization_url(f"{world.ISSUER}/authorize", code_verifier=world.VERIFIER, nonce="n-1")

    page = await browser.sign_in(await browser.get(url))
    answer = await browser.submit(page, allow="yes")
    token = await oauth.fetch_token(
        f"{world.ISSUER}/token", authorization_response=answer.headers["location"], state=state,
        code_verifier=world.VERIFIER,
    )  # fmt: skip

    me = await oauth.get(f"{world.ISSUER}/me")
    assert me.json() == "acc_ann user  editor"
    said = await world.claims(token["id_token"])
    assert (said["iss"], said["sub"], said["aud"], said["nonce"]) == (world.ISSUER, "acc_ann", client.id, "n-1")
    info = await oauth.get(f"{world.ISSUER}/userinfo")
    assert info.json() == {
        "sub": "acc_ann", "name": "Ann <Arbor>", "email": "ann@example.com", "email_verified": True,
    }  # fmt: skip


async def test_a_refresh_token_is_good_once_and_brings_the_next(world: Any) -> None:
    client, secret = await world.client()
    first = await world.exchanged(client, secret)
    oauth = await world.oauth(client, secret, token=first)

    second = await oauth.refresh_token(f"{world.ISSUER}/token")

    assert second["refresh_token"] != first["refresh_token"]
    assert (await oauth.get(f"{world.ISSUER}/me")).status_code == 200


async def test_a_service_gets_tokens_by_each_way_to_prove_itself(world: Any) -> None:
    scopes = ("orders:read",)
    client, secret = await world.client(grants=MACHINE, redirects=(), scopes=scopes, realm="acme")
    for method in ("client_secret_basic", "client_secret_post"):
        oauth = await world.oauth(client, secret, token_endpoint_auth_method=method)

        await oauth.fetch_token(f"{world.ISSUER}/token", grant_type="client_credentials")

        assert (await oauth.get(f"{world.ISSUER}/orders")).json() == "none"
        assert (await oauth.get(f"{world.ISSUER}/me")).json() == f"{client.id} service acme "


async def test_a_service_proves_itself_by_a_key_of_its_own(world: Any) -> None:
    import json

    key = RSAKey.generate_key(2048)
    public = json.dumps({"keys": [key.as_dict(private=False)]})
    client, _ = await world.client(grants=MACHINE, redirects=(), method="private_key_jwt", jwks=public)
    oauth = await world.oauth(client, key.as_pem(private=True).decode(), token_endpoint_auth_method="private_key_jwt")
    oauth.register_client_auth_method(PrivateKeyJWT(f"{world.ISSUER}/token", alg="RS256", claims=_times(world)))

    token = await oauth.fetch_token(f"{world.ISSUER}/token", grant_type="client_credentials")

    assert (await world.claims(token["access_token"]))["sub"] == client.id


def _times(world: Any) -> dict[str, int]:
    now = int(world.stage.clock.now().timestamp())
    return {"iat": now, "exp": now + 3600}


async def test_a_device_is_let_in_by_somebody_with_a_browser(world: Any) -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"
    client, _ = await world.client("Kettle", grants=(device, "refresh_token"), redirects=(), method="none")
    oauth = await world.oauth(client)
    begun = (
        await oauth.request(
            "POST", f"{world.ISSUER}/device_authorization", withhold_token=True,
            data={"client_id": client.id, "scope": "openid"},
        )
    ).json()  # fmt: skip

    browser = await world.browser()
    page = await browser.sign_in(await browser.get(begun["verification_uri_complete"]))
    assert "Kettle" in page.text
    assert begun["user_code"] in page.text
    done = await browser.submit(page, allow="yes")
    token = await oauth.fetch_token(f"{world.ISSUER}/token", grant_type=device, device_code=begun["device_code"])

    assert "Your device is in" in done.text
    assert (await world.claims(token["access_token"]))["sub"] == "acc_ann"
    assert token["refresh_token"]


async def test_introspection_and_revocation(world: Any) -> None:
    client, secret = await world.client()
    token = await world.exchanged(client, secret)
    oauth = await world.oauth(client, secret)

    before = (await oauth.introspect_token(f"{world.ISSUER}/introspect", token=token["access_token"])).json()
    revoked = await oauth.revoke_token(f"{world.ISSUER}/revoke", token=token["refresh_token"])
    after = (await oauth.introspect_token(f"{world.ISSUER}/introspect", token=token["access_token"])).json()

    assert (before["active"], before["sub"], before["client_id"]) == (True, "acc_ann", client.id)
    assert revoked.status_code == 200
    assert after == {"active": False}
