"""Mistakes that users make are errors of pyright and of mypy, at the line where they are made; right code is none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def expected(file: Path, checker: str) -> set[int]:
    found: set[int] = set()
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        said = re.search(r"# wrong(?:: (\w+))?$", line)
        if said and said[1] in (None, checker):
            found.add(number)
    return found


def pyright(file: Path, tmp_path: Path) -> dict[int, str]:
    shutil.copy(file, tmp_path)  # where a pyrightconfig.json can stand beside it
    settings = {
        "include": [file.name],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "reportUnusedFunction": False,
        "reportUnusedExpression": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    report = json.loads(ran.stdout)
    assert report["summary"]["filesAnalyzed"] == 1, report
    found = [one for one in report["generalDiagnostics"] if one["severity"] == "error"]
    return {one["range"]["start"]["line"] + 1: one["message"] for one in found}


def mypy(file: Path, tmp_path: Path) -> dict[int, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--python-version", "3.11", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found: dict[int, str] = {}
    for line in ran.stdout.splitlines():
        said = re.match(rf"(?:.*{file.name}):(\d+): error: (.*)", line)
        if said:
            found[int(said[1])] = said[2]
        elif "error:" in line:
            found[0] = line
    assert ran.returncode == (1 if found else 0), ran.stdout + ran.stderr
    return found


CHECKERS = {"pyright": pyright, "mypy": mypy}


@pytest.mark.parametrize("checker", CHECKERS)
def test_right_code_has_no_errors(checker: str, tmp_path: Path) -> None:
    assert CHECKERS[checker](HERE / "right.py", tmp_path) == {}


@pytest.mark.parametrize("checker", CHECKERS)
def test_each_mistake_is_an_error_at_its_line(checker: str, tmp_path: Path) -> None:
    file = HERE / "wrong.py"

    found = CHECKERS[checker](file, tmp_path)

    assert set(found) == expected(file, checker), found
