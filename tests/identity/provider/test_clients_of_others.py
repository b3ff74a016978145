"""A client that nobody here wrote gets through every flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core.util import create_half_hash
from joserfc.jwk import RSAKey

from enfilade import App
from enfilade.cli.serve import serving
from enfilade.config import Config
from enfilade.identity.provider import Provider, ProviderSettings
from enfilade.identity.provider.clients import Clients
from enfilade.identity.provider.rows import ClientRow, InviteRow
from enfilade.identity.users import Users

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
    assert said["at_hash"] == (create_half_hash(token["access_token"], "ES256") or b"").decode()
    assert said["auth_time"] == int(world.stage.clock.now().timestamp())
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


async def test_the_same_over_a_real_socket(tmp_path: Path) -> None:
    config = Config(data="sqlite::memory:", folder=str(tmp_path), service={"provider": {"algorithm": "ES256"}})
    app = App("shop", services=[Provider, Users], config=config)
    async with serving(app, port=0) as url:
        assert app.running_now is not None
        store = app.running_now.stores["provider"]
        clients = Clients(store.table(ClientRow), store.table(InviteRow), ProviderSettings(), app.clock)
        async with store.unit():
            client, secret = await clients.add("Robot", grants=MACHINE)

        oauth: Any = AsyncOAuth2Client(client.id, secret, trust_env=False)
        async with oauth:
            token = await oauth.fetch_token(f"{url}/token", grant_type="client_credentials")
            told = await oauth.introspect_token(f"{url}/introspect", token=token["access_token"])

    assert told.json()["active"] is True
