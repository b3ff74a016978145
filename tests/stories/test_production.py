"""The shop as customers have it: outside development, over a socket, its rows on disk; and clients that nobody here
wrote get through every flow of its provider."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client

from shop.app import SETTINGS
from shop.front import BACK, Form, NotLoggedIn, log_in

EXAMPLES = Path(__file__).parents[2] / "examples"
ADDRESS = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
VERIFIER = "correct-horse-battery-staple-correct-horse-battery"
OTHERS = """
[[service.provider.clients]]
id = "robot"
secret = "provider/robot"
scopes = ["orders:write"]

[[service.provider.clients]]
id = "kettle"
grants = ["device", "refresh"]
public = true
"""
LOGIN = {"email": "ann@example.com", "password": "correct horse"}


class Shop:
    """Where it runs."""

    def __init__(self, folder: Path, outside: str) -> None:
        self.folder = folder
        said = {f"ENFILADE_SERVICE__{name.upper()}__AT": f"{outside}/{name}" for name in ("psp", "carrier", "mail")}
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")},
            **said,
            "PYTHONPATH": str(EXAMPLES),
            "PYTHONUNBUFFERED": "1",
            "ENFILADE_DEVELOPMENT": "false",
            "ENFILADE_SECRET": "what nobody guesses, " * 2,
            "ENFILADE_SECRET_PROVIDER_ROBOT": "open sesame",
            "FORWARDED_ALLOW_IPS": "127.0.0.1",
        }

    def command(self, *said: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "enfilade.cli", *said],
            cwd=self.folder, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        with self.command("run", "shop.app:app", "--port", str(port)) as process:
            ready = process.stdout.readline()
            assert ready.startswith("Ready: "), process.stderr.read()
            yield ready.split()[1]
            process.terminate()
            process.communicate(timeout=30)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "enfilade.toml").write_text(SETTINGS.read_text() + OTHERS)
    command = [sys.executable, "-m", "shop.outside", "0"]
    with subprocess.Popen(command, cwd=EXAMPLES, stdout=subprocess.PIPE, text=True) as outside:
        shop = Shop(folder, outside.stdout.readline().strip())
        with shop.command("migrate", "shop.app:app", "--apply") as migrate:
            said = migrate.communicate(timeout=60)
        assert migrate.returncode == 0, said
        yield shop
        outside.terminate()


@pytest.fixture(scope="module")
def url(shop: Shop) -> Iterator[str]:
    with shop.serving() as url:
        yield url


async def test_a_customer_signs_up_logs_in_and_buys_before_and_after_a_restart(shop: Shop) -> None:
    with shop.serving() as url:
        async with httpx2.AsyncClient(base_url=url) as http:
            signed_up = await http.post("/accounts", json={"name": "Bob", **LOGIN, "email": "bob@example.com"})
            session = await log_in(http, "bob@example.com", LOGIN["password"])
            first = await http.post("/orders", json=order(), headers=bearer(session.access_token))
    with shop.serving(int(url.rpartition(":")[2])) as url:
        async with httpx2.AsyncClient(base_url=url) as http:
            second = await http.post("/orders", json=order(), headers=bearer(session.access_token))
            with pytest.raises(NotLoggedIn):
                await log_in(http, "bob@example.com", "battery staple")
            again = await log_in(http, "bob@example.com", LOGIN["password"])
            orders = await http.get("/orders", headers=bearer(again.access_token))

    assert [one.status_code for one in (signed_up, first, second)] == [201, 201, 201]
    assert {one["id"] for one in orders.json()["items"]} == {first.json()["id"], second.json()["id"]}


async def test_outside_development_nobody_is_known_by_a_token_of_this_machine(shop: Shop) -> None:
    with shop.command("token", "ann", "--app", "shop.app:app") as token:
        said, complaints = token.communicate(timeout=60)

    assert (token.returncode, said) == (1, "")
    assert "not in development" in complaints


# -- clients that nobody here wrote


@pytest.fixture
async def ann(url: str) -> httpx2.AsyncClient:
    """Ann's browser, where she has an account and is signed in nowhere."""
    async with httpx2.AsyncClient(base_url=url) as http:
        made = await http.post("/accounts", json={"name": "Ann", **LOGIN})
        assert made.status_code in (201, 409)
    return httpx2.AsyncClient(base_url=url)


async def signed_in(browser: httpx2.AsyncClient, address: str) -> httpx2.Response:
    """The answer to Ann's name and password."""
    form = Form((await browser.get(address)).text)
    filled = {**form.fields, "login": LOGIN["email"], "password": LOGIN["password"]}
    return await browser.post(form.action, data=filled)


def client(id: str, secret: str | None = None, **said: Any) -> Any:
    return AsyncOAuth2Client(id, secret, trust_env=False, **said)


async def test_code_with_pkce_refresh_and_revocation(url: str, ann: httpx2.AsyncClient) -> None:
    web = client("web", redirect_uri=BACK, code_challenge_method="S256", scope="openid email orders:write")
    robot = client("robot", "open sesame")
    async with ann, web, robot:
        found = (await ann.get("/.well-known/openid-configuration")).json()
        asked, state = web.create_authorization_url(found["authorization_endpoint"], code_verifier=VERIFIER)
        back = (await signed_in(ann, asked)).headers["location"]
        first = await web.fetch_token(
            found["token_endpoint"], authorization_response=back, state=state, code_verifier=VERIFIER
        )
        bought = await web.post(f"{url}/orders", json=order())
        info = (await web.get(found["userinfo_endpoint"])).json()
        second = await web.refresh_token(found["token_endpoint"])
        account = (await web.get(f"{url}/account")).json()
        await web.revoke_token(found["revocation_endpoint"], token=second["refresh_token"])
        told = await robot.introspect_token(found["introspection_endpoint"], token=second["access_token"])
        refused = await ann.get("/account", headers=bearer(second["access_token"]))

    assert found["issuer"] == url
    assert (bought.status_code, info["email"], info["sub"]) == (201, LOGIN["email"], account["id"])
    assert first["refresh_token"] != second["refresh_token"]
    assert (told.json(), refused.status_code) == ({"active": False}, 401)


async def test_client_credentials_and_introspection(url: str) -> None:
    async with client("robot", "open sesame") as robot, client("robot", "guessed") as other:
        token = await robot.fetch_token(f"{url}/token", grant_type="client_credentials", scope="orders:write")
        told = (await robot.introspect_token(f"{url}/introspect", token=token["access_token"])).json()
        refused = await other.introspect_token(f"{url}/introspect", token=token["access_token"])

    assert (told["active"], told["sub"], told["scope"], told["iss"]) == (True, "robot", "orders:write", url)
    assert refused.status_code == 401


async def test_a_device_is_let_in(url: str, ann: httpx2.AsyncClient) -> None:
    async with ann, client("kettle") as kettle:
        began = (await ann.post("/device_authorization", data={"client_id": "kettle", "scope": "openid"})).json()
        assert urlsplit(began["verification_uri"])._replace(path="").geturl() == url
        consent = Form((await signed_in(ann, began["verification_uri_complete"])).text)
        await ann.post(consent.action, data={**consent.fields, "allow": "yes"})
        token = await kettle.fetch_token(f"{url}/token", grant_type=DEVICE, device_code=began["device_code"])
        account = await kettle.get(f"{url}/account")

    assert token["refresh_token"]
    assert account.json()["email"] == LOGIN["email"]


def order() -> dict[str, Any]:
    return {"card": "tok_visa", "address": ADDRESS, "items": [{"sku": "6E92ZMYYFZ", "quantity": 1}]}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
