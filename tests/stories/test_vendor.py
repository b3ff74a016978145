"""The shop believes another vendor's provider by configuration alone, and its own beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client

from enfilade.config import load
from enfilade.testing import Stage
from shop.app import SETTINGS, app
from shop.front import log_in

BACK = "https://intranet.example/back"
STOCK = "/inventory/6E92ZMYYFZ"


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("vendor.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
async def shop(vendor: str, tmp_path: Path) -> AsyncIterator[Stage]:
    settings = tmp_path / "enfilade.toml"
    settings.write_text(f'{SETTINGS.read_text()}\n[[issuers]]\nurl = "{vendor}"\naudience = "shop"\n')
    config = load(settings, {"ENFILADE_DATA": "sqlite::memory:"})
    async with Stage(app, config=config, start=datetime.now(UTC)) as stage:
        yield stage


async def token(vendor: str, who: str, client: str = "shop") -> dict[str, str]:
    """What the vendor gives to a client that somebody logs in at, all by their own means."""
    said: dict[str, Any] = {"redirect_uri": BACK, "scope": "openid email", "trust_env": False}
    async with AsyncOAuth2Client(client, "any", **said) as oauth, httpx2.AsyncClient() as browser:
        found = (await browser.get(f"{vendor}/.well-known/openid-configuration")).json()
        url, _ = oauth.create_authorization_url(found["authorization_endpoint"])
        answer = await browser.post(url, data={"sub": who})
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        return await oauth.fetch_token(found["token_endpoint"], code=code)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_the_shop_believes_its_tokens_and_what_they_say(shop: Stage, vendor: str) -> None:
    eve = bearer((await token(vendor, "eve"))["access_token"])
    bob = bearer((await token(vendor, "bob"))["access_token"])

    counted = await shop.http.put(STOCK, json={"available": 7}, headers=eve)
    refused = await shop.http.put(STOCK, json={"available": 9}, headers=bob)
    cart = await shop.http.get("/cart", headers=bob)
    stock = await shop.http.get(STOCK)

    assert (counted.is_success, refused.status_code, cart.json()) == (True, 403, {"items": []})
    assert stock.json()["available"] == 7


async def test_the_shop_believes_no_token_that_is_for_others(shop: Stage, vendor: str) -> None:
    given = await token(vendor, "eve", client="bank")
    own = await token(vendor, "eve")

    for wrong in (given["access_token"], given["id_token"], own["id_token"]):
        answer = await shop.http.put(STOCK, json={"available": 7}, headers=bearer(wrong))
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")


async def test_customers_log_in_beside_it(shop: Stage, vendor: str) -> None:
    account = {"name": "Ann", "email": "ann@example.com", "password": "correct horse"}
    made = (await shop.http.post("/accounts", json=account)).json()
    session = await log_in(shop.http, "ann@example.com", "correct horse")

    seen = await shop.http.get("/account", headers=bearer(session.access_token))
    told = (await shop.http.get("/.well-known/oauth-protected-resource")).json()

    assert seen.json() == made
    assert told["authorization_servers"] == [vendor, "http://127.0.0.1:8080"]
