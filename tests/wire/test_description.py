"""Apps do what their descriptions say, and nothing else: asked by schemathesis, with all its checks.

`ENFILADE_ATTACK=500` makes up to so many requests of each operation instead of a few, and others each time (`make
attack`); what it says at the end names the seed, and `ENFILADE_SEED` repeats it.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ATTACK = "ENFILADE_ATTACK" in os.environ
EXAMPLES = int(os.environ.get("ENFILADE_ATTACK", "8"))
SEED = os.environ.get("ENFILADE_SEED") or str(secrets.randbelow(1_000_000))
MANY = 6 + EXAMPLES // 5
"""Customers who order: thirty times a minute each."""
HOME = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}
MUG = {"sku": "6E92ZMYYFZ", "quantity": 1}


class People:
    """Two customers who may not see what is the other's, an order of the first, and others who order."""

    def __init__(self, shop, folder: Path) -> None:
        ann, bob, *others = (signed_up(shop, number) for number in range(2 + MANY))
        self.others = " ".join(others)
        # The warehouse is theirs too, so that nothing is out of reach.
        said = {one: shop.signed(one, scopes=["orders:write"], roles=["warehouse"]) for one in (ann, bob)}
        bought = shop.ask("POST", "/orders", {"card": "tok_visa", "address": HOME, "items": [MUG]}, **said[ann])
        self.order = bought.good()["id"]
        self.file = folder / "people.json"
        users = [
            {"name": name, "fixedHeaders": [{"name": "Authorization", "value": said[one]["authorization"]}]}
            for name, one in (("ann", ann), ("bob", bob))
        ]
        self.file.write_text(json.dumps({"auth": users}))


def signed_up(shop, number: int) -> str:
    """The id of a customer who came in by the front door."""
    account = {"name": "Ann", "email": f"{number}@wire.example", "password": "correct horse"}
    return shop.ask("POST", "/accounts", account, x_forwarded_for=f"10.99.0.{number % 256}").good()["id"]


@pytest.fixture(scope="module")
def people(shop, tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(shop, tmp_path_factory.mktemp("people"))


def ask(app, folder: Path, *more: str, customers: str = "", order: str = "-") -> subprocess.CompletedProcess[str]:
    """Run schemathesis against an app."""
    config = folder / "schemathesis.toml"
    text = (HERE / "schemathesis.toml").read_text().replace("$ORDER", order)
    if ATTACK:
        text = text.replace("seed = 1", f"seed = {SEED}").replace("deterministic = true", "deterministic = false")
    config.write_text("\n".join([text, *more]))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{app.url}/openapi.json",
        "--checks", "all", "--max-examples", str(EXAMPLES), "--no-color",
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(HERE), "APP": str(app.folder / ".enfilade"), "CUSTOMERS": customers}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=3600, check=False)


@pytest.mark.timeout(3600)
def test_a_customer_finds_what_the_shop_says_of_itself(shop, people: People, tmp_path: Path) -> None:
    auth = ["[auth.wfc]", f'path = "{people.file}"', 'user = "ann"', 'peers = ["ann", "bob"]']
    ran = ask(shop, tmp_path, *auth, customers=people.others, order=people.order)

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.timeout(3600)
def test_a_stranger_finds_what_the_shop_says_of_itself(shop, people: People, tmp_path: Path) -> None:
    ran = ask(shop, tmp_path, order=people.order)

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.timeout(3600)
def test_files_streams_and_versions_are_as_they_are_described(desk, tmp_path: Path) -> None:
    ran = ask(desk, tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
