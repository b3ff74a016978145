"""Secrets in the repository: encrypted to those who may read, changed by command."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from enfilade.cli import main
from enfilade.clock import SystemClock
from enfilade.secrets import Secrets, Unreadable
from enfilade.secrets.age import AgeFile
from enfilade.secrets.source import sources_of

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*words: str, text: str = "", who: str = "ann", **env: str) -> Result:
        names = {"ENFILADE_AGE_KEY_FILE": str(tmp_path / f"{who}.key"), **env}
        return CliRunner().invoke(main, ["secrets", *words], input=text, env=names)

    return run


def keys_of(tmp_path: Path, who: str = "ann") -> dict[str, str]:
    return {"ENFILADE_AGE_KEY_FILE": str(tmp_path / f"{who}.key")}


def source(tmp_path: Path, **environ: str) -> Secrets:
    clock = SystemClock()
    return Secrets(sources_of([f"age:{tmp_path / 'secrets.age'}"], clock, environ), clock)


async def test_what_was_set_is_found_by_the_app(run: Run, tmp_path: Path) -> None:
    assert run("init").exit_code == 0
    assert run("set", "payments/psp-key", text="open sesame\n").exit_code == 0
    found = source(tmp_path, **keys_of(tmp_path))

    assert await found.reveal("payments/psp-key") == "open sesame"
    assert await found.find("payments/other") is None
    assert "sesame" not in (tmp_path / "secrets.age").read_text()
    assert (tmp_path / "secrets.age").read_text().startswith("-----BEGIN AGE ENCRYPTED FILE-----")


async def test_a_server_has_its_key_in_a_variable(run: Run, tmp_path: Path) -> None:
    run("init")
    run("set", "key", text="value")
    key = (tmp_path / "ann.key").read_text()

    assert await source(tmp_path, ENFILADE_AGE_KEY=key).reveal("key") == "value"


async def test_a_new_value_is_seen_without_a_restart(run: Run, tmp_path: Path) -> None:
    run("init")
    run("set", "key", text="old value")
    found = source(tmp_path, **keys_of(tmp_path))
    assert await found.reveal("key") == "old value"
    run("rotate", "key")

    assert len(await found.reveal("key")) == 43


def test_the_private_key_is_readable_by_its_user_only(run: Run, tmp_path: Path) -> None:
    run("init")

    assert stat.S_IMODE((tmp_path / "ann.key").stat().st_mode) == 0o600


def test_init_again_changes_nothing(run: Run, tmp_path: Path) -> None:
    run("init")
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    again = run("init")

    assert again.exit_code == 0
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == before


def test_who_joins_reads_after_a_rotation_and_who_left_does_not(run: Run, tmp_path: Path) -> None:
    run("init")
    run("set", "key", text="the value")
    run("init", who="bob")
    early = run("get", "key", "--show", who="bob")
    assert run("rotate").exit_code == 0
    joined = run("get", "key", "--show", who="bob")
    recipients = tmp_path / "secrets.recipients"
    recipients.write_text("# who may read\n" + recipients.read_text().splitlines(keepends=True)[1])
    assert run("rotate", who="bob").exit_code == 0
    left = run("get", "key", "--show")

    assert early.exit_code == 1
    assert "add your public key" in early.output
    assert joined.output == "the value\n"
    assert left.exit_code == 1


def test_a_value_is_shown_to_a_terminal_only(run: Run) -> None:
    run("init")
    run("set", "key", text="the value")
    refused = run("get", "key")

    assert refused.exit_code == 1
    assert "the value" not in refused.output
    assert "--show" in refused.output


def test_a_value_never_stands_on_the_command_line(run: Run) -> None:
    run("init")

    assert run("set", "key", "the value").exit_code == 2
    assert run("set", "key", text="").exit_code == 1
    assert run("set", "../key", text="value").exit_code == 2


def test_names_are_listed_and_values_are_not(run: Run) -> None:
    run("init")
    run("set", "b/key", text="value b")
    run("set", "a/key", text="value a")

    assert run("list").output == "a/key\nb/key\n"
    assert "It has a/key, b/key." in run("get", "none", "--show").output


APP = """
from dataclasses import dataclass
from typing import Protocol
from enfilade import App, anyone, contract, query
from enfilade.service import Secret

@contract(needs=anyone)
class Gate(Protocol):
    @query("GET /gate")
    async def open(self) -> str: ...

@dataclass
class GateService(Gate):
    key: Secret = Secret("gate/key")
    bell: Secret | None = Secret("gate/bell")
    lock: Secret = Secret("gate/lock")
    async def open(self) -> str:
        return await self.key.reveal()

app = App("castle", services=[Gate])
app.service(Gate).by(GateService)
"""


def test_what_an_app_needs_is_known_without_running_it(run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "castle.py").write_text(APP)
    (tmp_path / "enfilade.toml").write_text('secrets = ["env", "age:vault/secrets.age"]\n')
    (tmp_path / "vault").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ENFILADE_SECRET_GATE_LOCK", "locked")
    run("init")
    before = run("list", "--app", "castle:app")
    run("set", "gate/key", text="open sesame")
    after = run("list", "--app", "castle:app")

    assert before.exit_code == 1
    assert [line.split() for line in before.output.splitlines()[1:]] == [
        ["gate/bell", "absent"], ["gate/key", "missing"], ["gate/lock", "there"],
    ]  # fmt: skip
    assert after.exit_code == 0
    assert (tmp_path / "vault" / "secrets.age").exists()


async def test_a_file_without_a_key_says_what_to_do(run: Run, tmp_path: Path) -> None:
    run("init")
    with pytest.raises(Unreadable) as caught:
        await source(tmp_path, **keys_of(tmp_path, "stranger")).reveal("key")

    assert "needs a private key" in caught.value.what
    assert "enfilade secrets init" in caught.value.remedy


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n"])
async def test_a_broken_file_is_unreadable(run: Run, tmp_path: Path, content: str) -> None:
    run("init")
    (tmp_path / "secrets.age").write_text(content)
    with pytest.raises(Unreadable):
        await source(tmp_path, **keys_of(tmp_path)).reveal("key")


def test_a_recipient_that_is_no_key_stops_the_writing(run: Run, tmp_path: Path) -> None:
    run("init")
    before = (tmp_path / "secrets.age").read_bytes()
    (tmp_path / "secrets.recipients").write_text("age1nonsense ann\n")
    refused = run("set", "key", text="value")

    assert refused.exit_code == 1
    assert "age1nonsense" in refused.output
    assert (tmp_path / "secrets.age").read_bytes() == before


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path) -> None:
    kept = AgeFile(tmp_path / "secrets.age", {"ENFILADE_AGE_KEY_FILE": str(tmp_path / "k")})
    kept.init("ann")
    (tmp_path / "secrets.age").mkdir()
    with pytest.raises(OSError):
        kept.write({"key": "value"})

    assert sorted(file.name for file in tmp_path.iterdir()) == ["k", "secrets.age", "secrets.recipients"]
