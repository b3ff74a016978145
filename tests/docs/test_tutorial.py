"""The tutorial, followed to the letter: the shop gets a twelfth service, then a second process; nothing complains."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
TUTORIAL = README[README.index("## Add a service") : README.index("## Where to read on")]

SPLIT = (ROOT / "docs/split.md").read_text("utf-8")
PLAN = re.compile(r"`(examples/shop/[\w/]+\.toml)`:\n\n((?:    .*\n|\n)+)")

FILE = re.compile(r"`(examples/shop/[\w/]+\.py)`:\n\n```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EDIT = re.compile(r"`(examples/shop/[\w/]+\.py)`:\n\n```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def edited(text: str, diff: str) -> str:
    """The text with the lines that the diff adds, each behind the line it stands behind there."""
    lines, at = text.splitlines(), 0
    for line in diff.splitlines():
        if line.startswith("+"):
            lines.insert(at, line[1:])
            at += 1
        elif line.startswith(" "):
            at = lines.index(line[1:], at) + 1
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the reader has, with the tutorial done."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns(".enfilade", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "src").symlink_to(ROOT / "src")
    for name, text in FILE.findall(TUTORIAL):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    for name, diff in EDIT.findall(TUTORIAL):
        file = folder / name
        file.write_text(edited(file.read_text("utf-8"), diff), "utf-8")
    for name, text in PLAN.findall(SPLIT):
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write("\n" + dedent(text))
    return folder


def run(folder: Path, *command: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_tutorial_writes_three_files_and_two_lines(repository: Path) -> None:
    before = (ROOT / "examples/shop/app.py").read_text("utf-8").splitlines()
    after = (repository / "examples/shop/app.py").read_text("utf-8").splitlines()

    assert {file.name for file in (repository / "examples/shop/reviews").iterdir()} == {
        "contract.py", "service.py", "test_service.py",
    }  # fmt: skip
    assert len(after) == len(before) + 2


def test_its_tests_pass(repository: Path) -> None:
    said = run(repository, "pytest", "-p", "no:cacheprovider", "examples/shop/reviews", "-rN", "--verbose")

    assert "4 passed" in said


def test_enfilade_check_finds_nothing(repository: Path) -> None:
    said = run(repository / "examples/shop", "enfilade.cli", "check", "--strict")

    assert "Nothing found" in said


def test_pyright_finds_nothing(repository: Path) -> None:
    settings = {"include": ["examples/shop/reviews"], "extraPaths": ["examples"], "typeCheckingMode": "strict"}
    config = repository / "pyrightconfig.json"
    config.write_text(json.dumps(settings), "utf-8")

    said = run(repository, "pyright", "--pythonpath", sys.executable, "-p", str(config))

    assert "0 errors, 0 warnings" in said


def test_ruff_finds_nothing(repository: Path) -> None:
    run(repository, "ruff", "format", "--check", "--no-cache", "examples/shop/reviews", "examples/shop/app.py")
    run(repository, "ruff", "check", "--no-cache", "examples/shop/reviews", "examples/shop/app.py")


def test_the_shop_starts_and_serves_reviews(repository: Path) -> None:
    routes = run(repository / "examples/shop", "enfilade.cli", "routes")

    assert re.search(r"POST +/products/\{sku\}/reviews +reviews\.write", routes)
    assert re.search(r"GET +/products/\{sku\}/reviews +reviews\.of_product", routes)


def test_the_plan_of_the_tutorial_takes_one_service_out(repository: Path) -> None:
    said = run(repository / "examples/shop", "enfilade.cli", "plan", "diff", "one", "apart")

    assert re.search(r"- service reviews +in shop\n\+ service reviews +in reviews\n", said)


def test_the_shop_of_two_processes_answers_as_that_of_one(repository: Path) -> None:
    here = repository / "examples/shop"
    header = {"authorization": f"Bearer {run(here, 'enfilade.cli', 'token', 'ann').strip()}"}
    path, review = "/products/OLJCESPC7Z/reviews", {"stars": 5, "text": "Suits me."}
    with running(here, "--plan", "apart") as url:
        written = httpx2.post(url + path, json=review, headers=header, timeout=30)
        again = httpx2.post(url + path, json=review, headers=header, timeout=30)
        read = httpx2.get(url + path, timeout=30)

    assert (written.status_code, again.status_code) == (201, 409)
    assert read.json()["items"] == [written.json()]
    tree = run(here, "enfilade.cli", "trace", written.headers["trace-id"])
    page = SPLIT[SPLIT.index("```text") :]
    assert re.findall(r"([a-z]+\.[a-z]+) +(\w+) ", tree) == re.findall(r"([a-z]+\.[a-z]+) +(\w+) ", page)


@contextmanager
def running(folder: Path, *options: str) -> Generator[str]:
    """`enfilade run`; gives the address."""
    command = [sys.executable, "-m", "enfilade.cli", "run", *options, "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as supervisor:
        try:
            assert supervisor.stdout is not None
            yield supervisor.stdout.readline().removeprefix("Ready: ").strip()
        finally:
            supervisor.terminate()
            supervisor.wait(60)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"enfilade new ([a-z][\w-]*)", README))))
def test_a_project_can_be_made_as_the_readme_says(name: str, tmp_path: Path) -> None:
    run(tmp_path, "enfilade.cli", "new", name)

    assert "Nothing found" in run(tmp_path / name, "enfilade.cli", "check", "--strict")
