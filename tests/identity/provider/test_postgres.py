"""The flows that change most, on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def data(postgres_url: str) -> str:
    return postgres_url


async def test_codes_refreshes_and_reuse(world: Any) -> None:
    client, secret = await world.client(logouts=("https://client.example/bye",))
    first = await world.exchanged(client, secret)
    stolen = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = await world.token(client, secret, **stolen)
    again = await world.token(client, secret, **stolen)

    assert (second.status_code, again.status_code) == (200, 400)
    await world.stage.clock.advance(91 * 86400)
    await world.stage.advance(1200)
    assert len((await (await world.http()).get("/jwks.json")).json()["keys"]) == 2


async def test_devices_and_logout(world: Any) -> None:
    client, _ = await world.client("Kettle", grants=(DEVICE, "refresh_token"), redirects=(), method="none")
    http = await world.http()
    begun = (await http.post("/device_authorization", data={"client_id": client.id, "scope": "openid"})).json()
    browser = await world.browser()
    page = await browser.sign_in(await browser.get("/device", user_code=begun["user_code"]))
    await browser.submit(page, allow="yes")

    token = await world.token(client, grant_type=DEVICE, device_code=begun["device_code"])
    left = await browser.get("/logout", id_token_hint=token.json()["id_token"])

    assert "You are signed out" in left.text
    refreshed = await world.token(client, grant_type="refresh_token", refresh_token=token.json()["refresh_token"])
    assert refreshed.json()["error"] == "invalid_grant"
