"""A project that runs, and passes its own tests and checks, at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from enfilade.cli import main


def new(*arguments: str):
    return CliRunner().invoke(main, ["new", *arguments], catch_exceptions=False)


def tool(folder: Path, *command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def test_a_new_project_passes_its_own_tests_checks_and_types(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = new("corner-shop")
    folder = tmp_path / "corner-shop"

    assert made.exit_code == 0, made.output
    assert "5 passed" in tool(folder, "pytest", "-p", "no:cacheprovider")
    assert "Nothing found" in tool(folder, "enfilade.cli", "check", "--strict")
    assert "0 errors" in tool(folder, "pyright", "--pythonpath", sys.executable)
    assert tool(folder, "ruff", "format", "--check", "--isolated", ".")
    assert tool(folder, "ruff", "check", "--isolated", "--select", "E,F,I,UP,B", ".")


def test_a_project_has_no_word_of_its_template_left(project):
    texts = [file.read_text() for file in project.folder.rglob("*") if file.is_file()]

    assert len(texts) == 9
    assert not [text for text in texts if "$p" in text or "$$" in text]


@pytest.mark.parametrize(
    "name", ["Shop", "1shop", "shop!", "shop-", "../shop", "", "class", "json", "tests", "enfilade"]
)
def test_a_name_that_cannot_be_one_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    refused = new(name)

    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"Error: a project cannot be called {name!r}")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "letter.txt").write_text("dear")
    refused = new("shop")

    assert refused.exit_code == 1
    assert "shop is there already" in refused.stderr
    assert [one.name for one in (tmp_path / "shop").iterdir()] == ["letter.txt"]


def test_another_folder_can_be_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = new("shop", "--path", "here/there")

    assert made.exit_code == 0
    assert (tmp_path / "here/there/shop/app.py").exists()
    assert "cd here/there" in made.output
