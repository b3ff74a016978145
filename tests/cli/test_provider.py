"""Users, clients and keys of the app's provider, by the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from enfilade.cli import main


class House:
    """A project that has a provider."""

    def __init__(self, project: Any) -> None:
        self.project = project

    def run(self, *arguments: str, input: str = "") -> Result:
        return CliRunner().invoke(main, arguments, input=input, catch_exceptions=False)


@pytest.fixture
def house(project: Any) -> House:
    app = project.folder / "app.py"
    if not app.exists():
        app = next(one for one in project.folder.rglob("app.py") if "tests" not in one.parts)
    app.write_text(
        "from enfilade import App\nfrom enfilade.identity.provider import Provider\n"
        'from enfilade.identity.users import Users\n\napp = App("shop", services=[Provider, Users])\n'
    )
    return House(project)


def test_users_come_and_go(house: House) -> None:
    added = house.run("users", "add", "ann", "--name", "Ann", "--role", "editor", input="correct horse\n")
    taken = house.run("users", "add", "ANN", input="correct horse\n")
    short = house.run("users", "add", "bob", input="short\n")
    changed = house.run("users", "password", "ann", input="battery staple\n")
    (ann,) = json.loads(house.run("users", "list", "--json").stdout)
    removed = house.run("users", "remove", "ann")
    gone = house.run("users", "remove", "ann")

    assert added.stdout.startswith("usr_")
    assert (taken.exit_code, short.exit_code) == (1, 1)
    assert (ann["login"], ann["name"], ann["roles"]) == ("ann", "Ann", "editor")
    assert changed.exit_code == removed.exit_code == 0
    assert gone.exit_code == 1
    assert "There are no users." in house.run("users", "list").stdout


def test_clients_come_and_go(house: House) -> None:
    web = house.run("clients", "add", "Web", "--redirect", "http://127.0.0.1/back", "--public", "--tenant", "acme")
    robot = house.run("clients", "add", "Robot", "--scope", "orders:read")
    wrong = house.run("clients", "add", "Bad", "--redirect", "http://elsewhere.example/")
    listed = json.loads(house.run("clients", "list", "--json").stdout)
    removed = house.run("clients", "remove", listed[0]["id"])

    assert "client_secret" not in web.stdout
    assert "client_secret=" in robot.stdout
    assert wrong.exit_code == 1
    assert "loopback" in wrong.stderr
    assert [(one["name"], one["grants"], one["tenant"]) for one in listed] == [
        ("Web", "code refresh", "acme"), ("Robot", "machine", ""),
    ]  # fmt: skip
    assert removed.exit_code == 0
    assert house.run("clients", "remove", "cli_unknown").exit_code == 1
    assert len(house.run("clients", "invite").stdout.strip()) == 64


def test_declared_clients_are_listed_before_the_added_ones(house: House) -> None:
    settings = house.project.folder / "enfilade.toml"
    before = settings.read_text() if settings.exists() else ""
    client = '[[service.provider.clients]]\nid = "web"\nredirects = ["http://127.0.0.1/back"]\npublic = true\n'
    settings.write_text(f"{before}\n{client}")
    house.run("clients", "add", "Robot")
    listed = json.loads(house.run("clients", "list", "--json").stdout)
    removed = house.run("clients", "remove", "web")

    assert [(one["name"], one["from"], one["grants"]) for one in listed] == [
        ("web", "settings", "code refresh"), ("Robot", "added", "machine"),
    ]  # fmt: skip
    assert removed.exit_code == 1
    assert "[[service.provider.clients]]" in removed.stderr


def test_keys_rotate(house: House) -> None:
    none = house.run("keys", "list")
    soon = house.run("keys", "rotate")
    rotated = house.run("keys", "rotate", "--now")
    listed = json.loads(house.run("keys", "list", "--json").stdout)

    assert "no keys yet" in none.stdout
    assert soon.exit_code == 1
    assert rotated.exit_code == 0
    assert sorted(one["state"] for one in listed) == ["current", "next"]
    assert next(one for one in listed if one["state"] == "current")["kid"] in rotated.stdout


def test_an_app_without_a_provider_is_told_what_to_add(project: Any) -> None:
    answer = project.run("clients", "list")

    assert answer.exit_code == 1
    assert "Add Provider to its services" in answer.stderr


def test_the_check_finds_nothing_in_what_the_platform_brings(house: House) -> None:
    answer = house.run("check")

    assert answer.exit_code == 0, answer.output
