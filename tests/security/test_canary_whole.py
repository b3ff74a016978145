"""A customer's whole story over HTTP, with a canary in each sensitive place; then all that was written is searched.

What the platform promises is in two steps. A password, a card, a token, a code and a key's secret are nowhere in clear:
not in a log, a span, a trace, the audit, a number, a refusal, nor in any row. An e-mail address and a postal address
are what the shop keeps, so they are in its rows; they are nowhere else.
"""

from __future__ import annotations

import asyncio
import copy
import io
import json
import logging
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from enfilade import App
from enfilade.cli.serve import serving
from enfilade.config import load
from enfilade.endpoint import openid, rest
from enfilade.identity.apikeys import ApiKeys
from enfilade.trace import log
from shop.app import SETTINGS
from shop.app import app as shop_app
from shop.carrier.contract import Carrier
from shop.fakes import FakeCarrier, FakeMail, FakePsp
from shop.front import NotLoggedIn, Session, log_in
from shop.mail.contract import Mail
from shop.psp.contract import Psp

MUG = "6E92ZMYYFZ"
PASSWORD, WRONG, CARD, LOST = "canary-horse-1", "canary-mule-2", "tok_canary3", "tok_declined"
EMAIL, NAME, STREET = "canary4@example.com", "Canary5 Arbor", "Canary6 Street 1"
HOME = {"name": NAME, "street": STREET, "city": "Zurich", "postcode": "8001", "country": "CH"}


@dataclass
class Story:
    """What was told to whom while it went on, and where all the rest lies."""

    folder: Path
    logged: io.StringIO = field(default_factory=io.StringIO)
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """What was given to the customer, and is his alone: by what it is."""
    refusals: list[str] = field(default_factory=list[str])
    pages: str = ""
    """The forms, which show him the address that he typed, and no more."""
    numbers: str = ""
    spans: str = ""

    def files(self, *, rows: bool) -> dict[str, bytes]:
        """All that lies in the folder: of the rows, or of the rest. The keys themselves are where keys are kept."""
        every = [one for one in self.folder.rglob("*") if one.is_file() and one.name not in ("secret", "issuer.json")]
        kept = {str(one.relative_to(self.folder)): one.read_bytes() for one in every}
        return {name: data for name, data in kept.items() if (name.split("/")[0] == "data") is rows}

    def written(self) -> dict[str, str]:
        """All but the rows."""
        files = {name: data.decode("utf-8", "replace") for name, data in self.files(rows=False).items()}
        told = {"log": self.logged.getvalue(), "numbers": self.numbers, "spans": self.spans}
        return {**files, **told, "refusals": "\n".join(self.refusals)}


@pytest.fixture
def logs() -> Generator[io.StringIO]:
    """All that is logged, at the level that says the most."""
    stream, root = io.StringIO(), logging.getLogger()
    before, level = list(root.handlers), root.level
    log.configure(json=True, level="DEBUG", stream=stream)
    customers = [logging.getLogger(name) for name in ("httpcore2", "httpx2")]  # his own, who sits in this process too
    for one in customers:
        one.setLevel(logging.WARNING)
    yield stream
    for one in customers:
        one.setLevel(logging.NOTSET)
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
async def story(tmp_path: Path, logs: io.StringIO) -> Story:
    folder = tmp_path / ".enfilade"
    story = Story(folder, logs)
    made = _shop(folder)
    async with serving(made, port=0) as url, httpx2.AsyncClient(base_url=url, timeout=30) as http:
        http.event_hooks["response"].append(lambda answer: _noted(story, answer))
        await _told(story, http)
        assert made.running_now is not None
        await made.running_now.messaging.settle()
        story.spans = repr(made.running_now.recorder.recent())
        story.numbers = (await http.get("/metrics")).text
    return story


def _shop(folder: Path) -> App:
    inside = {f"ENFILADE_SERVICE__{name}__AT": "" for name in ("PSP", "CARRIER", "MAIL")}
    made = copy.copy(shop_app)
    made.services = (*shop_app.services, ApiKeys)
    made.endpoints = (rest("/"), openid())
    made.builders = {**shop_app.builders, Psp: FakePsp, Carrier: FakeCarrier, Mail: FakeMail}
    made.config = load(SETTINGS, {"ENFILADE_FOLDER": str(folder), **inside})
    return made


async def _noted(story: Story, answer: httpx2.Response) -> None:
    """Keeps what is refused, and what is given to the customer alone."""
    await answer.aread()
    if answer.headers.get("content-type", "").startswith("text/html"):
        story.pages += answer.text
    elif answer.status_code >= 400:
        story.refusals.append(f"{answer.headers!r} {answer.text}")
    back = parse_qs(urlsplit(answer.headers.get("location", "")).query)
    if "code" in back:
        story.secrets["code"] = back["code"][0]
    for name, value in answer.cookies.items():
        story.secrets[f"cookie {name}"] = value


async def _told(story: Story, http: httpx2.AsyncClient) -> None:
    account = {"name": NAME, "email": EMAIL, "password": PASSWORD}
    assert (await http.post("/accounts", json=account)).status_code == 201
    assert (await http.post("/accounts", json=account)).status_code == 409
    for wrong in ({"email": [EMAIL]}, {"password": {PASSWORD: 1}}, {"pasword": PASSWORD}):
        broken = {**account, **wrong}
        assert (await http.post("/accounts", json=broken)).status_code == 422
    assert (await http.post("/accounts", content=f'{{"password": "{PASSWORD}"')).status_code in (400, 415)
    with pytest.raises(NotLoggedIn):
        await log_in(http, EMAIL, WRONG)
    session = await log_in(http, EMAIL, PASSWORD, "openid orders:write offline_access")
    _keep(story, session)
    http.cookies.clear()
    again = {"grant_type": "authorization_code", "client_id": "web", "code": story.secrets["code"]}
    assert (await http.post("/token", data=again)).status_code == 400
    await http.post("/token", data={"grant_type": "password", "username": EMAIL, "password": WRONG})
    assert (await http.get("/account", headers={"authorization": f"Bearer {session.access_token}x"})).status_code == 401

    session = await log_in(http, EMAIL, PASSWORD)
    story.secrets["second token"] = session.access_token
    http.headers["authorization"] = f"Bearer {session.access_token}"
    key = (await http.post("/api-keys", json={"label": "scanner"})).json()["key"]
    story.secrets["API key"] = key[-43:]
    nobody = {"authorization": ""}
    assert (await http.get("/account", headers={"x-api-key": key, **nobody})).status_code in (200, 401)
    await http.get("/account", headers={"x-api-key": key + "x", **nobody})
    await http.get(f"/account?token={session.access_token}")

    order = {"card": CARD, "address": HOME, "items": [{"sku": MUG, "quantity": 1}]}
    once = {"idempotency-key": "once"}
    assert (await http.post("/orders", json=order, headers=once)).status_code == 201
    assert (await http.post("/orders", json=order, headers=once)).headers["idempotency-replayed"] == "true"
    assert (await http.post("/orders", json={**order, "card": LOST})).status_code == 402
    for broken in (
        {**order, "card": [CARD]},
        {**order, "address": STREET},
        {**order, "address": {**HOME, CARD: STREET}},
    ):
        assert (await http.post("/orders", json=broken)).status_code == 422
    await http.get("/orders")
    await http.get("/account")
    for _ in range(100):  # mails are sent a moment later
        if len((await http.get("/notifications")).json()["items"]) >= 3:
            break
        await asyncio.sleep(0.05)


def _keep(story: Story, session: Session) -> None:
    story.secrets["access token"] = session.access_token
    for name in ("refresh_token", "id_token"):
        if value := getattr(session, name):
            story.secrets[name] = value


def found(canaries: dict[str, str], places: dict[str, str]) -> list[str]:
    """Which canary is seen where, as it is or as JSON and URLs spell it."""
    seen: list[str] = []
    for what, canary in canaries.items():
        for form in {canary, json.dumps(canary)[1:-1], canary.replace("@", "%40"), canary.replace(" ", "+")}:
            for where, text in places.items():
                at = text.find(form)
                if at >= 0:
                    seen.append(f"{what} in {where}: ...{text[max(0, at - 60) : at + len(form)]}")
    return seen


async def test_nothing_that_a_customer_keeps_to_himself_is_found_in_clear(story: Story) -> None:
    never = {"password": PASSWORD, "wrong password": WRONG, "card": CARD, **story.secrets}
    rows = {name: data.decode("utf-8", "replace") for name, data in story.files(rows=True).items()}

    assert len(story.secrets) >= 5, story.secrets
    assert len(rows) > 5
    # The search sees something: what is meant to be in each place is there.
    assert "argon2" in "".join(rows.values())
    assert "orders.place" in story.logged.getvalue() + story.spans
    assert any(name.startswith("audit") for name in story.written())
    assert any(name.startswith("traces") for name in story.written())
    assert "<form" in story.pages
    assert found(never, {**story.written(), **rows, "pages": story.pages}) == []

    # What the shop keeps of its customer is in its rows, and nowhere else.
    his = {"e-mail address": EMAIL, "street": STREET}
    assert {one.partition(" in ")[0] for one in found(his, rows)} == set(his)
    assert found(his, story.written()) == []
    assert not re.search(r'"(password|card|token|authorization)": ?"[^*"]', story.logged.getvalue())
