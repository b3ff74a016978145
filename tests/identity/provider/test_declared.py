"""Clients that are kept with the settings stand beside those that were added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from enfilade import App
from enfilade.cli.serve import serving
from enfilade.config import Config, load
from enfilade.errors import StartError
from enfilade.identity.provider import Provider
from enfilade.identity.users import Users
from enfilade.testing import Stage

BACK = "http://127.0.0.1/back"
WEB = {"id": "web", "redirects": (BACK,), "public": True}
ROBOT = {"id": "robot", "secret": "provider/robot", "scopes": ("orders:read",)}


def stage(*clients: dict[str, Any], **said: Any) -> Stage:
    service = {"provider": {"algorithm": "ES256", "clients": clients, **said}}
    return Stage(App("shop", services=[Provider, Users]), config=Config(data="sqlite::memory:", service=service))


def request(**said: str) -> dict[str, str]:
    return {
        "client_id": "web", "redirect_uri": BACK, "response_type": "code", "scope": "openid", "state": "s",
        "code_challenge": "c" * 43, "code_challenge_method": "S256", **said,
    }  # fmt: skip


async def test_a_declared_client_sends_people_to_the_login() -> None:
    async with stage({**WEB, "name": "The shop"}) as shop:
        known = await shop.http.get("/authorize", params=request())
        elsewhere = await shop.http.get("/authorize", params=request(redirect_uri="https://elsewhere.example/"))

    assert (known.status_code, elsewhere.status_code) == (200, 400)
    assert "The shop" in known.text


async def test_a_declared_secret_is_the_one_that_its_source_has_now() -> None:
    ask = {"grant_type": "client_credentials"}
    async with stage(ROBOT).secret("provider/robot", "open sesame") as shop:
        good = await shop.http.post("/token", data=ask, auth=("robot", "open sesame"))
        shop.secret("provider/robot", "shut sesame")
        old = await shop.http.post("/token", data=ask, auth=("robot", "open sesame"))
        new = await shop.http.post("/token", data=ask, auth=("robot", "shut sesame"))
        none = await shop.http.post("/token", data={**ask, "client_id": "robot"})

    assert [one.status_code for one in (good, old, new, none)] == [200, 401, 200, 401]
    assert good.json()["scope"] == "orders:read"


async def test_a_secret_that_no_source_has_keeps_the_app_from_starting() -> None:
    with pytest.raises(StartError, match="client robot: no source has the secret provider/robot"):
        async with stage(ROBOT):
            pass


async def test_a_declared_client_may_prove_itself_by_a_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}))
    async with stage({"id": "robot", "keys": str(file)}) as shop:
        answer = await shop.http.post("/token", data={"grant_type": "client_credentials"}, auth=("robot", "guess"))

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("client", "why"),
    [
        ({"id": "web"}, "it is public, or has keys, or has a secret"),
        ({**WEB, "secret": "provider/web"}, "it is public, or has keys, or has a secret"),
        ({**WEB, "id": "cli_1"}, "begin with cli_"),
        ({**WEB, "id": "a b"}, "regex"),
        ({**WEB, "redirects": ("http://elsewhere.example/",)}, "loopback"),
        ({**WEB, "grants": ("code", "machine")}, "cannot act for itself"),
        ({**WEB, "grants": ("password",)}, "password"),
        ({"id": "robot", "keys": "nowhere.json"}, "nowhere.json"),
    ],
)
async def test_what_does_not_go_together_keeps_the_app_from_starting(client: dict[str, Any], why: str) -> None:
    with pytest.raises(StartError, match=why):
        async with stage(client):
            pass


async def test_an_id_that_is_there_twice_keeps_the_app_from_starting() -> None:
    with pytest.raises(StartError, match="web is there twice"):
        async with stage(WEB, WEB):
            pass


# -- where the provider is


async def test_the_issuer_is_what_the_app_is_reached_by() -> None:
    app = App("shop", services=[Provider, Users], config=Config(data="sqlite::memory:"))
    async with serving(app, port=0) as url, httpx2.AsyncClient(base_url=url) as http:
        found = (await http.get("/.well-known/openid-configuration")).json()

    assert (found["issuer"], found["token_endpoint"]) == (url, f"{url}/token")


@pytest.mark.parametrize(
    ("said", "issuer"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"ENFILADE_PORT": "9000", "ENFILADE_HOST": "0.0.0.0"}, "http://127.0.0.1:9000"),
        ({"ENFILADE_HOST": "::1"}, "http://[::1]:8080"),
        ({"ENFILADE_URL": "https://shop.example/"}, "https://shop.example"),
        (
            {"ENFILADE_URL": "https://shop.example", "ENFILADE_SERVICE__PROVIDER__ISSUER": "https://id.example"},
            "https://id.example",
        ),
    ],
)
async def test_the_issuer_follows_the_settings(said: dict[str, str], issuer: str) -> None:
    config = load(Path("nothing"), {"ENFILADE_DATA": "sqlite::memory:", **said})
    async with Stage(App("shop", services=[Provider, Users]), config=config) as shop:
        assert (await shop.nobody.of(Provider).metadata()).issuer == issuer


async def test_a_provider_in_the_open_does_not_start() -> None:
    config = Config(data="sqlite::memory:", url="http://shop.example")
    with pytest.raises(StartError, match="it must be https") as refused:
        async with Stage(App("shop", services=[Provider, Users]), config=config):
            pass

    assert 'url = "https://' in refused.value.findings[0].remedy
