"""Keys, discovery, registration, logout, throttled logins, and what is kept."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx2
import pytest

from enfilade.clock import VirtualClock
from enfilade.config import Config
from enfilade.errors import StartError, TooManyRequests
from enfilade.identity.provider import ProviderSettings
from enfilade.identity.provider.ring import Ring, TooSoon
from enfilade.identity.provider.rows import (
    ClientRow,
    CodeRow,
    DeviceRow,
    GrantedRow,
    InviteRow,
    KeyRow,
    LoginRow,
    RefreshRow,
    SpentRow,
)
from enfilade.identity.provider.seal import Host
from enfilade.identity.provider.throttle import Throttle

SECRET = b"a secret of the app, which is long enough"


def ring(world: Any, settings: ProviderSettings | None = None, secret: bytes = SECRET) -> Ring:
    said = settings or ProviderSettings(algorithm="ES256")
    return Ring(world.store.table(KeyRow), said, Host("shop", secret).seal, world.stage.clock)


async def kids(world: Any) -> list[str]:
    http = await world.http()
    return [one["kid"] for one in (await http.get("/jwks.json")).json()["keys"]]


async def test_a_key_is_published_before_it_signs_and_after(world: Any) -> None:
    client, secret = await world.client(grants=("client_credentials",), redirects=())

    async def signs() -> tuple[str, str]:
        token = (await world.token(client, secret, grant_type="client_credentials")).json()["access_token"]
        header = token.partition(".")[0]
        return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"], token

    current, token = await signs()
    published = await kids(world)
    rows = {one.state: one.kid for one in await world.stage.rows(KeyRow)}
    assert len(published) == 2
    assert rows["current"] == current

    await world.stage.clock.advance(91 * 86400)
    await world.stage.advance(1)

    after, _ = await signs()
    assert after == rows["next"]
    assert set(published) < set(await kids(world))
    states = {one.kid: one for one in await world.stage.rows(KeyRow)}
    assert states[current].state == "retired"
    assert states[current].private == b""
    await world.stage.advance(1800)
    assert current not in await kids(world)
    assert token


async def test_a_key_that_was_published_just_now_does_not_sign_yet(world: Any) -> None:
    await kids(world)
    keys = Ring(world.store.table(KeyRow), ProviderSettings(algorithm="ES256"), world.host.seal, world.stage.clock)

    async with world.store.unit():
        with pytest.raises(TooSoon):
            await keys.rotate()
    await world.stage.clock.advance(3601)
    async with world.store.unit():
        signing = await keys.rotate()

    assert signing.kid in await kids(world)


async def test_a_key_that_got_out_is_gone_at_once(world: Any) -> None:
    before = await kids(world)
    current = next(one.kid for one in await world.stage.rows(KeyRow) if one.state == "current")
    keys = Ring(world.store.table(KeyRow), ProviderSettings(algorithm="ES256"), world.host.seal, world.stage.clock)

    async with world.store.unit():
        await keys.rotate(now=True)
    await world.stage.clock.advance(31)

    assert current in before
    assert current not in await kids(world)


async def test_keys_of_another_secret_are_replaced(world: Any) -> None:
    before = await kids(world)
    other = ring(world)

    assert not await other.ready()
    async with world.store.unit():
        await other.make()

    assert await other.ready()
    assert set(before) < {one.kid for one in await other.published()}


async def test_private_keys_lie_sealed(world: Any) -> None:
    await kids(world)

    for row in await world.stage.rows(KeyRow):
        assert b"kty" not in row.private
        assert '"d"' not in row.public


@pytest.mark.parametrize("settings", [{"algorithm": one} for one in ("RS256", "PS256", "ES256", "Ed25519")])
async def test_each_algorithm_signs_what_the_app_believes(world: Any) -> None:
    client, secret = await world.client(grants=("client_credentials",), redirects=())
    token = (await world.token(client, secret, grant_type="client_credentials")).json()["access_token"]

    answer = await (await world.http()).get("/me", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 200
    assert (await world.claims(token))["sub"] == client.id


# -- discovery


@pytest.mark.parametrize("settings", [{"issuer": "https://id.example/auth"}])
async def test_the_discovery_is_where_each_standard_looks_for_it(world: Any) -> None:
    http = await world.http()

    openid = await http.get("/auth/.well-known/openid-configuration")
    oauth = await http.get("/.well-known/oauth-authorization-server/auth")

    assert openid.json() == oauth.json()
    said = openid.json()
    assert said["issuer"] == "https://id.example/auth"
    assert said["token_endpoint"] == "https://id.example/auth/token"
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert openid.headers["cache-control"] == "public, max-age=300"
    keys = await http.get("/auth/jwks.json")
    assert keys.headers["cache-control"] == "public, max-age=300"
    assert (await http.get("/.well-known/openid-configuration")).status_code == 404


async def test_pages_of_other_origins_may_ask_where_no_cookie_counts(world: Any) -> None:
    http = await world.http()

    for path in ("/token", "/userinfo", "/jwks.json", "/.well-known/openid-configuration"):
        asked = await http.options(path, headers={"origin": "https://app.example"})
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == "*"
    client, _ = await world.client()
    page = await http.get("/authorize", params=world.request(client), headers={"origin": "https://app.example"})
    assert "access-control-allow-origin" not in page.headers


@pytest.mark.parametrize("issuer", ["http://id.example", "https://id.example/", "ftp://x", "https://a@b.example", "x"])
def test_an_issuer_is_an_address_that_nobody_can_listen_to(issuer: str) -> None:
    with pytest.raises(StartError):
        Config(service={"provider": {"issuer": issuer}}).settings("provider", ProviderSettings)


# -- registration


async def register(world: Any, token: str = "", **said: Any) -> httpx2.Response:
    http = await world.http()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    body = {"redirect_uris": [world.CALLBACK], "client_name": "New", **said}
    return await http.post("/register", json=body, headers=headers)


async def test_a_client_registers_once_with_an_invitation(world: Any) -> None:
    async with world.store.unit():
        token = await world.clients.invite("acme")

    uninvited = await register(world)
    first = await register(world, token, logo_uri="https://client.example/logo.png")
    second = await register(world, token)

    assert uninvited.status_code == second.status_code == 401
    assert first.status_code == 201
    said = first.json()
    assert said["client_secret"]
    assert said["client_secret_expires_at"] == 0
    row = next(one for one in await world.stage.rows(ClientRow) if one.id == said["client_id"])
    assert (row.realm, row.consent, row.grants) == ("acme", True, ("authorization_code",))


@pytest.mark.parametrize("settings", [{"registration": "open"}])
@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"redirect_uris": ["http://client.example/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://com/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://*.example/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://10.0.0.1/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://client.example/back#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://client.example/../back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["app:/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
    ],
)
async def test_what_cannot_be_registered_is_told(world: Any, said: dict[str, Any], error: str) -> None:
    answer = await register(world, **said)

    assert answer.status_code == 400
    assert answer.json()["error"] == error


@pytest.mark.parametrize("settings", [{"registration": "open", "scopes": ["orders:read"]}])
async def test_who_registers_gets_what_everybody_may_have(world: Any) -> None:
    answer = await register(world, scope="openid orders:read billing:write", token_endpoint_auth_method="none")

    assert answer.json()["scope"] == "openid orders:read"
    assert "client_secret" not in answer.json()


@pytest.mark.parametrize("settings", [{"registration": "off"}])
async def test_where_it_is_off_nobody_registers(world: Any) -> None:
    async with world.store.unit():
        token = await world.clients.invite()

    assert (await register(world, token)).status_code == 401


# -- logout


async def test_a_client_signs_somebody_out_and_gets_him_back(world: Any) -> None:
    client, secret = await world.client(logouts=("https://client.example/bye",), consent=False)
    browser = await world.browser()
    code = world.back(await browser.sign_in(await browser.get("/authorize", **world.request(client))))["code"]
    token = (
        await world.token(
            client, secret, grant_type="authorization_code", code=code, redirect_uri=world.CALLBACK,
            code_verifier=world.VERIFIER,
        )
    ).json()  # fmt: skip

    left = await browser.get(
        "/logout", id_token_hint=token["id_token"], post_logout_redirect_uri="https://client.example/bye", state="s"
    )

    assert left.headers["location"] == "https://client.example/bye?state=s"
    silent = await browser.get("/authorize", **world.request(client, prompt="none"))
    assert world.back(silent)["error"] == "login_required"
    refreshed = await world.token(client, secret, grant_type="refresh_token", refresh_token=token["refresh_token"])
    assert refreshed.json()["error"] == "invalid_grant"


async def test_what_is_for_offline_use_outlives_a_logout(world: Any) -> None:
    client, secret = await world.client()
    browser = await world.browser()
    back = await world.allowed(client, browser, scope="openid offline_access")
    token = (
        await world.token(
            client, secret, grant_type="authorization_code", code=back["code"], redirect_uri=world.CALLBACK,
            code_verifier=world.VERIFIER,
        )
    ).json()  # fmt: skip

    await browser.get("/logout", id_token_hint=token["id_token"])

    refreshed = await world.token(client, secret, grant_type="refresh_token", refresh_token=token["refresh_token"])
    assert refreshed.status_code == 200


async def test_nobody_is_signed_out_by_a_link_alone_or_sent_elsewhere(world: Any) -> None:
    client, _ = await world.client(logouts=("https://client.example/bye",))
    browser = await world.browser()
    await world.allowed(client, browser)

    asked = await browser.get("/logout", client_id=client.id, post_logout_redirect_uri="https://evil.example/")
    still = await browser.get("/authorize", **world.request(client, prompt="none"))
    left = await browser.submit(asked)

    assert asked.status_code == 200
    assert "code" in world.back(still)
    assert "You are signed out" in left.text
    forged = await browser.http.post("/logout", data={"form": "0" * 64})
    assert forged.status_code == 403


# -- what is kept, and how long


async def test_secrets_are_kept_as_hashes_only(world: Any) -> None:
    client, secret = await world.client(method="client_secret")
    back = await world.allowed(client)
    token = await world.exchanged(client, secret)
    async with world.store.unit():
        invite = await world.clients.invite()

    kept = ""
    for row in (ClientRow, CodeRow, RefreshRow, LoginRow, InviteRow, GrantedRow, DeviceRow, SpentRow):
        kept += repr(await world.stage.rows(row))

    assert not any(one in kept for one in (secret, back["code"], token["refresh_token"], invite))


async def test_what_has_expired_is_forgotten_however_much_it_is(world: Any) -> None:
    client, secret = await world.client()
    await world.exchanged(client, secret)
    spent = world.store.table(SpentRow)
    async with world.store.unit():
        for number in range(1200):
            await spent.add(SpentRow(id=str(number), ends=world.stage.clock.now()))

    await world.stage.clock.advance(32 * 86400)
    await world.stage.advance(1200)

    for row in (CodeRow, RefreshRow, LoginRow, GrantedRow, SpentRow):
        assert await world.stage.rows(row) == ()


# -- wrong passwords


async def test_wrong_passwords_of_one_login_are_counted(world: Any) -> None:
    client, _ = await world.client()
    answers: list[int] = []
    for number in range(12):
        browser = await world.browser(f"192.0.2.{number}")
        page = await browser.get("/authorize", **world.request(client))
        answers.append((await browser.sign_in(page, "ann", "wrong")).status_code)

    assert answers == [403] * 10 + [429] * 2
    assert len(world.people.asked) == 10
    await world.stage.clock.advance(31)
    browser = await world.browser("192.0.2.50")
    page = await browser.get("/authorize", **world.request(client))
    assert (await browser.sign_in(page)).status_code == 200


async def test_a_flood_from_one_address_leaves_room_for_the_others_and_stays_small() -> None:
    throttle = Throttle(VirtualClock(), size=100)
    hashed = refused = 0

    async def wrong(number: int) -> None:
        nonlocal hashed, refused
        try:
            async with throttle.attempt("192.0.2.66", f"user{number}"):
                hashed += 1
                await asyncio.sleep(0.001)
        except TooManyRequests:
            refused += 1

    flood = asyncio.gather(*(wrong(number) for number in range(10_000)))
    await asyncio.sleep(0)
    async with throttle.attempt("192.0.2.1", "ann") as attempt:
        attempt.right = True
    await flood

    assert hashed <= 20
    assert refused == 10_000 - hashed
    assert len(list(throttle.names())) <= 100


async def test_the_audit_names_who_signed_in_and_which_client_asked(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client, secret = await world.client()

    with caplog.at_level("INFO", "enfilade.audit"):
        token = await world.exchanged(client, secret)

    lines = [json.loads(one.message) for one in caplog.records if one.name == "enfilade.audit"]
    by = {one["operation"]: one.get("who") for one in lines}
    assert by["provider.sign_in"] == by["provider.decide"] == "acc_ann"
    assert by["provider.token"] == client.id
    assert not any(one in caplog.text for one in (secret, token["access_token"], token["refresh_token"], "password"))


async def test_nothing_that_is_secret_is_written_anywhere_by_the_way(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        client, secret = await world.client()
        browser = await world.browser()
        back = await world.allowed(client, browser)
        token = await world.exchanged(client, secret)
        await world.token(client, secret, grant_type="refresh_token", refresh_token=token["refresh_token"])
        await world.token(client, secret, grant_type="refresh_token", refresh_token=token["refresh_token"])
        http = await world.http()
        await http.post("/introspect", data={"token": token["access_token"]}, auth=(client.id, secret))

    written = caplog.text + repr(world.stage.running.recorder.recent())
    cookie = browser.http.cookies["enfilade"]
    secrets = [
        secret,
        back["code"],
        cookie,
        "ann's password",
        *(token[f"{one}_token"] for one in ("access", "refresh")),
    ]
    assert "provider.token" in written
    assert [one for one in secrets if one in written] == []
    pages = [await browser.get("/authorize", **world.request(client, prompt="login"))]
    assert [one for one in secrets for page in pages if one in page.text] == []
