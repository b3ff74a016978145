"""A new version takes the place of the old one while it is asked, and no request is lost; a worse one goes again."""

from __future__ import annotations

import os
import subprocess
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
@pytest.mark.parametrize("plan", ["split", "one"])
def test_nobody_notices_releases_and_rollbacks(inn: Any, plan: str) -> None:
    inn.version("second")
    with inn.running(plan), inn.guests().asking() as guests:
        for number in range(25 if LONG else 1):
            assert {one.version for one in guests.more(40)} == {"first"}
            said = inn.say("release", "kitchen", "--from", "../second", "--steps", "40,100", "--watch", "1s")
            assert {one.version for one in guests.more(40)} == {"second"}
            assert said.splitlines()[-1].endswith("has ended.")
            said = inn.say("rollback", "kitchen")
            assert f".{2 * number + 3} is in force" in said
        assert {one.version for one in guests.more(40)} == {"first"}

    assert guests.failed() == []
    assert {"first", "second"} == {one.version for one in guests.done}


@pytest.mark.timeout(120)
def test_a_version_that_does_worse_goes_by_itself(inn: Any) -> None:
    inn.version("spoilt", spoilt)
    with inn.running("split"), inn.guests().asking() as guests:
        said = inn.say("release", "kitchen", "--from", "../spoilt", "--canary", "20%", "--watch", "30", code=1)
        after = guests.more(40)

        assert "kitchen.2 has 20 % of the calls" in said
        assert "kitchen.2 has 50 %" not in said
        assert "All calls go to kitchen again." in said
        assert "was rolled back: " in said
        assert {one.version for one in after} == {"first"}
        assert "kitchen.2" not in inn.say("plan", "show", "--force")
    assert {one.status for one in guests.failed()} == {500}


def test_a_version_that_others_cannot_use_is_refused_before_it_starts(inn: Any) -> None:
    inn.version("narrow", narrow)
    with inn.running("split"):
        said = inn.say("release", "kitchen", "--from", "../narrow", code=1)

        assert "hall would break: kitchen.dish: the parameter salt" in said, said
        assert "hall would break: kitchen.cook: the result's pid" in said
        assert "clients outside would break: kitchen.dish" in said
        assert not any("kitchen.2" in line for line in inn.lines)
        said = inn.say("release", "hall", "--from", "../narrow", code=1)
        assert "hall would break: kitchen.dish" in said


def test_a_version_is_shown_before_it_comes_and_may_be_a_commit(inn: Any) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments], cwd=inn.folder, check=True)

    git("init", "-q")
    git("add", "inn")
    git("commit", "-qm", "first")
    git("tag", "v1")
    inn.version("second")
    with inn.running("split"):
        shown = inn.say("release", "hall", "--from", "../second", "--dry-run")
        assert "process hall.2 from" in shown
        assert "hall.2 gets 10 %, 50 %, 100 % of the calls of hall, each watched for 10 s." in shown
        assert "hall has no version before" in inn.say("rollback", "hall", code=1)
        inn.say("release", "hall", "--from", "v1", "--steps", "100", "--watch", "0")
        (code,) = Path(inn.folder, ".enfilade/releases").iterdir()

        assert code.name.startswith("v1-")
        assert (code / "inn/hall/service.py").exists()
        assert f"process hall.2 from  {code}" in inn.say("plan", "show", "--force")
    assert "'v2' is no folder, and no commit that git knows here" in inn.say("release", "hall", "--from", "v2", code=1)
