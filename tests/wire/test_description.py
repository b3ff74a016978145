"""The shop does what its description says, and nothing else: asked by schemathesis, with all its checks.

`ENFILADE_ATTACK=500` asks so many requests of each operation instead of a few (`make attack`).
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

OPTS = shlex.split(os.environ.get("ST_OPTS", ""))
HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("ENFILADE_ATTACK", "8"))
HOME = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}
MUG = {"sku": "6E92ZMYYFZ", "quantity": 1}


def account(shop, name: str) -> dict[str, str]:
    """A customer who came in by the front door, and keys that also open the warehouse."""
    login = {"email": f"{name}@wire.example", "password": "correct horse"}
    id = shop.ask("POST", "/accounts", {"name": name, **login}).good()["id"]
    shop.ask("POST", "/sessions", login).good()
    return shop.signed(id, scopes=["orders:write"], roles=["warehouse"])


@pytest.fixture(scope="module")
def people(shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Two customers who may not see what is the other's, and an order of the first."""
    ann, bob = account(shop, "ann"), account(shop, "bob")
    auth = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": who["authorization"]}]}
        for name, who in (("ann", ann), ("bob", bob))
    ]
    file = tmp_path_factory.mktemp("people") / "people.json"
    file.write_text(json.dumps({"auth": auth}))
    return file, shop.ask("POST", "/orders", {"card": "tok_visa", "address": HOME, "items": [MUG]}, **ann).good()["id"]


def ask(shop, folder: Path, order: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against the shop."""
    config = folder / "schemathesis.toml"
    config.write_text("\n".join([(HERE / "schemathesis.toml").read_text().replace("$ORDER", order), *more]))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{shop.url}/openapi.json",
        "--checks", "all", "--max-examples", str(EXAMPLES), "--no-color", *OPTS,
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(HERE), "SHOP": str(shop.folder / ".enfilade")}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=3600, check=False)


@pytest.mark.timeout(3600)
def test_a_customer_finds_what_the_description_says(shop, people: tuple[Path, str], tmp_path: Path) -> None:
    file, order = people
    ran = ask(shop, tmp_path, order, "[auth.wfc]", f'path = "{file}"', 'user = "ann"', 'peers = ["ann", "bob"]')

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.timeout(3600)
def test_a_stranger_finds_what_the_description_says(shop, people: tuple[Path, str], tmp_path: Path) -> None:
    ran = ask(shop, tmp_path, people[1])

    assert ran.returncode == 0, ran.stdout + ran.stderr
