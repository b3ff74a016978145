"""A new version takes the place of the old one while it is asked, and no request is lost; a worse one goes again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LONG = bool(os.environ.get("ENFILADE_FAULTS"))


def spoilt(path: str, text: str) -> str:
    """A kitchen that fails, now and then."""
    if path != "inn/kitchen/service.py":
        return text
    return text.replace("Dish:\n        return", 'Dish:\n        assert os.urandom(1)[0] % 3, "burnt"\n        return')


def narrow(path: str, text: str) -> str:
    """A kitchen that must be told more, and tells less, than others know."""
    if path == "inn/kitchen/contract.py":
        text = text.replace("dish(self, name: str)", "dish(self, name: str, salt: int)").replace("    pid: int\n", "")
    return text.replace("dish(self, name: str)", "dish(self, name: str, salt: int)").replace(", pid=os.getpid()", "")


@pytest.mark.timeout(1800 if LONG else 120)
def test_nobody_notices_releases_and_rollbacks(split: Any) -> None:
    split.version("second")
    with split.guests().asking() as guests:
        for _ in range(25 if LONG else 1):
            assert {one.version for one in guests.more(40)} == {"first"}
            said = split.say("release", "kitchen", "--from", "../second", "--steps", "40,100", "--watch", "1s")
            assert {one.version for one in guests.more(40)} == {"second"}
            assert said.splitlines()[-1].endswith("has ended.")
            split.say("rollback", "kitchen")
        assert {one.version for one in guests.more(40)} == {"first"}
        assert "has no version before" in split.say("rollback", "kitchen", code=1)

    assert guests.failed() == []


@pytest.mark.timeout(1800 if LONG else 120)
def test_in_one_process_it_is_the_same_and_it_is_kept_when_the_plan_starts_again(inn: Any) -> None:
    inn.version("second")
    with inn.running("one"), inn.guests().asking() as guests:
        inn.say("scale", "kitchen=2")
        for at in range(25 if LONG else 1):
            if at:
                inn.say("rollback", "inn")
                assert {one.version for one in guests.more(40)} == {"first"}
            said = inn.say("release", "kitchen", "--from", "../second", "--steps", "40,100", "--watch", "1s")
            assert "It has hall and kitchen: all of them change." in said
            assert {one.version for one in guests.more(40)} == {"second"}
        inn.say("scale", "inn=1")
        in_force = inn.say("plan", "show", "--force")
    with inn.running("one"):
        again = inn.say("plan", "show", "--force")
        with inn.guests().asking() as others:
            assert {one.version for one in others.more(10)} == {"second"}

    assert guests.failed() == []
    assert again == in_force
    assert f"from  {inn.folder.parent}/second" in again


@pytest.mark.timeout(120)
def test_a_version_that_does_worse_goes_by_itself(split: Any) -> None:
    split.version("spoilt", spoilt)
    with split.guests().asking() as guests:
        said = split.say("release", "kitchen", "--from", "../spoilt", "--canary", "20%", "--watch", "30", code=1)
        after = guests.more(40)

    assert " has 20 % of the calls" in said
    assert " has 50 %" not in said
    assert "was rolled back: " in said
    assert {one.version for one in after} == {"first"}
    assert {one.status for one in guests.failed()} == {500}
    assert "spoilt" not in split.say("plan", "show", "--force")


def test_who_hangs_up_gives_a_release_up(split: Any) -> None:
    split.version("second")
    command = [sys.executable, "-m", "enfilade.cli", "release", "kitchen", "--from", "../second", "--watch", "60"]
    with split.guests().asking() as guests:
        with subprocess.Popen(command, cwd=split.folder, stdout=subprocess.PIPE, text=True) as releasing:
            assert releasing.stdout is not None
            assert any("has 10 % of the calls" in line for line in releasing.stdout)
            refused = split.say("scale", "kitchen=2", code=1)
            releasing.send_signal(signal.SIGINT)
        assert split.until(lambda: any("goes: nobody waits for it any more" in line for line in split.lines))
        assert split.until(lambda: "second" not in split.say("plan", "show", "--force"))
        assert {one.version for one in guests.more(40)} == {"first"}

    assert "another change is under way" in refused
    assert guests.failed() == []


@pytest.mark.timeout(120)
@pytest.mark.skipif(not LONG, reason="ENFILADE_FAULTS=1 tries it; it takes a while")
def test_behind_an_edge_it_is_the_same(inn: Any) -> None:
    inn.write("plan.toml", '[edged]\nextends = "split"\n[edged.edge]\nrun = "envoy:"\n')
    inn.version("second")
    with inn.running("edged"), inn.guests().asking() as guests:
        inn.say("scale", "kitchen=2")
        for name in ("kitchen", "hall", "front"):
            inn.say("release", name, "--from", "../second", "--steps", "40,100", "--watch", "1s")
        assert {one.version for one in guests.more(40)} == {"second"}
        inn.say("rollback", "kitchen")
        assert {one.version for one in guests.more(40)} == {"first"}
        inn.say("scale", "kitchen=1")

    assert guests.failed() == []


def test_a_version_that_others_cannot_use_is_refused_before_it_starts(split: Any) -> None:
    split.version("narrow", narrow)
    begun = len(split.lines)
    said = split.say("release", "kitchen", "--from", "../narrow", code=1)

    assert "hall would break: kitchen.dish: the parameter salt" in said
    assert "hall would break: kitchen.cook: the result's pid" in said
    assert "clients outside would break: kitchen.dish" in said
    assert "hall keeps its rows in the memory" in split.say("release", "hall", "--from", "../narrow", code=1)
    assert not any("ready" in line for line in split.lines[begun:])


def committed(folder: Path) -> str:
    """All code in a repository of its own; the commit."""

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "inn", "plan.toml", "enfilade.toml")
    git("commit", "-qm", "first")
    git("tag", "v1")
    return git("rev-parse", "HEAD")


@pytest.mark.timeout(120)
def test_the_first_version_is_the_commit_that_was_there_then(inn: Any) -> None:
    commit = committed(inn.folder)
    inn.version("second")
    with inn.running("rows"), inn.guests().asking() as guests:
        inn.say("release", "kitchen", "--from", "../second", "--steps", "100", "--watch", "0")
        assert {one.version for one in guests.more(20)} == {"second"}
        service = inn.folder / "inn/kitchen/service.py"
        service.write_text(service.read_text().replace('"first"', '"edited"'))
        assert f"releases/{commit[:12]}" in inn.say("rollback", "kitchen")
        assert {one.version for one in guests.more(20)} == {"first"}

    assert guests.failed() == []


def test_a_version_is_shown_before_it_comes_and_may_be_a_commit(split: Any) -> None:
    committed(split.folder)
    shown = split.say("release", "kitchen", "--from", "v1", "--dry-run")
    (code,) = Path(split.folder, ".enfilade/releases").iterdir()

    assert f"from  {code}" in " ".join(shown.split()).replace(" from ", " from  ")
    assert "gets 10 %, 50 %, 100 % of the calls of kitchen" in shown
    assert code.name.startswith("v1-")
    assert (code / "inn/hall/service.py").exists()
    said = split.say("release", "kitchen", "--from", "v2", code=1)
    assert "'v2' is no folder, and no commit that git knows here" in said
