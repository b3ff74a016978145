"""Which commit the working folder is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from enfilade.plan.checkout import clean

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """In a repository with one module, which is the working folder."""

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text("first = 1\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    return git


def test_a_folder_is_its_commit_whatever_data_lies_there(git: Git) -> None:
    Path("shop.db").touch()

    assert clean() == git("rev-parse", "HEAD")[:12]


def changed() -> None:
    Path("app.py").write_text("first = 2\n")


def more() -> None:
    Path("more.py").touch()


def less() -> None:
    Path("app.py").unlink()


@pytest.mark.parametrize("edit", [changed, more, less])
def test_a_folder_whose_code_is_another_is_no_commit(git: Git, edit: Callable[[], None]) -> None:
    edit()

    assert clean() == ""


def test_without_a_repository_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert clean() == ""
