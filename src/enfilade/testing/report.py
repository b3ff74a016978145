"""What becomes of each test, for a comparison of shapes: a plugin of pytest, loaded by `enfilade test --parity`."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

from enfilade.testing.stage import Stage

_STAGE: Final = "enfilade-stage"
"""The property of a test that had a stage."""
_WORST: Final = ("passed", "skipped", "failed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("enfilade")
    group.addoption("--parity-told", type=Path, help="Write into this file what became of each test.")
    group.addoption("--parity-of", type=Path, help="Run only the tests that this file names.")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Told(config))


class _Told:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tests: dict[str, dict[str, Any]] = {}
        self._entered = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if file := self._config.getoption("--parity-of"):
            named = set(json.loads(file.read_text("utf-8")))
            self._config.hook.pytest_deselected(items=[one for one in items if one.nodeid not in named])
            items[:] = [one for one in items if one.nodeid in named]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        if self._entered != Stage.entered:
            self._entered = Stage.entered
            item.user_properties.append((_STAGE, True))
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = self._tests.setdefault(report.nodeid, {"outcome": "passed", "said": "", "stage": False})
        told["stage"] |= (_STAGE, True) in map(tuple, report.user_properties)
        if _WORST.index(report.outcome) > _WORST.index(told["outcome"]):
            told |= {"outcome": report.outcome, "said": _said(report)}

    def pytest_sessionfinish(self) -> None:
        file = self._config.getoption("--parity-told")
        if file and not hasattr(self._config, "workerinput"):  # of pytest-xdist, whose controller hears of all
            file.write_text(json.dumps(self._tests), "utf-8")


def _said(report: pytest.TestReport) -> str:
    """Why it is so, in a line."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    crash = getattr(report.longrepr, "reprcrash", None)
    said = str(crash.message if crash is not None else report.longrepr or "")
    return next(iter(said.strip().splitlines()), "")
