"""A project made by `enfilade new`, and the command line in the same process."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from enfilade.cli import main

_numbers = itertools.count(1)


class Project:
    """A new project, and the working folder in it."""

    def __init__(self, folder: Path) -> None:
        self.package = f"project{next(_numbers)}"
        self.folder = folder / self.package

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path.replace("PKG", self.package)
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in [one for one in os.environ if one.startswith("ENFILADE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    assert made.run("new", made.package).exit_code == 0
    monkeypatch.chdir(made.folder)
    yield made
    for name in [one for one in sys.modules if one.partition(".")[0] == made.package]:
        del sys.modules[name]
