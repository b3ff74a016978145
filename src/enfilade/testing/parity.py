"""The tests of a project in every shape, and what differs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from enfilade.contract.message import Message
from enfilade.testing.shape import SHAPES, VARIABLE, Shape

_RAN: Final = (0, 1, 5)
"""Exit codes of pytest that has run what there was: all passed, some failed, there was none."""


class Outcome(Message):
    """What became of a test in one shape."""

    outcome: str = "missing"
    said: str = ""
    """Why, in a line, where it did not pass."""
    stage: bool = False
    """Whether it had a stage."""


class Parity(Message):
    """What became of each test that has a stage, by shape; and of those that fail before they have one."""

    tests: Mapping[str, Mapping[Shape, Outcome]]

    @property
    def different(self) -> Mapping[str, Mapping[Shape, Outcome]]:
        """Those that do not pass in every shape."""
        return {
            name: outcomes
            for name, outcomes in self.tests.items()
            if any(one.outcome != "passed" for one in outcomes.values())
        }

    @property
    def figure(self) -> str:
        """How many pass in every shape, of how many."""
        return f"{len(self.tests) - len(self.different)}/{len(self.tests)}"


class Stopped(Exception):
    """Pytest did not run; it has said why. The exit code is its argument."""


def parity(arguments: Sequence[str], heard: IO[Any] | None = None, shapes: Sequence[Shape] = SHAPES) -> Parity:
    """Run pytest with these arguments in each shape; what it writes goes to `heard`. Raises Stopped.

    In the first shape all tests are run; in the others those that had a stage there, or failed.
    """
    found: dict[Shape, Mapping[str, Outcome]] = {}
    with tempfile.TemporaryDirectory(prefix="enfilade-") as folder:
        named = Path(folder) / "tests.json"
        for shape in shapes:
            told = Path(folder) / f"{shape}.json"
            # In one word each, or pytest would take the files for tests before it knows the options.
            only = [f"--parity-of={named}"] if found else []
            found[shape] = _ran(shape, [*arguments, f"--parity-told={told}", *only], told, heard)
            if not only:
                names = [one for one, done in found[shape].items() if done.stage or done.outcome == "failed"]
                if not names:
                    return Parity(tests={})
                named.write_text(json.dumps(names), "utf-8")
    first = found[shapes[0]]
    staged = [one for one in first if any(found[shape].get(one, Outcome()).stage for shape in shapes)]
    failed = [one for one, done in first.items() if done.outcome == "failed" and one not in staged]
    return Parity(
        tests={one: {shape: found[shape].get(one, Outcome()) for shape in shapes} for one in (*staged, *failed)}
    )


def _ran(shape: Shape, arguments: Sequence[str], told: Path, heard: IO[Any] | None) -> Mapping[str, Outcome]:
    done = subprocess.run(  # noqa: S603  (ourselves)
        [sys.executable, "-m", "pytest", "-p", "enfilade.testing.report", *arguments],
        env={**os.environ, VARIABLE: shape},
        stdout=heard,
        check=False,
    )
    if done.returncode not in _RAN or not told.exists():
        raise Stopped(done.returncode)
    return msgspec.json.decode(told.read_bytes(), type=dict[str, Outcome])
