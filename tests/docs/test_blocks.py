"""What the pages show is true: whole blocks run, fragments are at least Python, and links lead somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from enfilade.config import load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(python|py|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[object]:
    found: list[object] = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            if match[1] == kind:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_a_whole_block_runs(code: str, tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(code, "utf-8")

    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stderr


def test_pyright_finds_nothing_in_whole_blocks(tmp_path: Path) -> None:
    for page in PAGES:
        for number, (kind, code) in enumerate(BLOCK.findall(page.read_text("utf-8"))):
            if kind == "python":
                (tmp_path / f"{page.stem}_{number}.py").write_text(code, "utf-8")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "pythonVersion": "3.11"}', "utf-8")

    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("code", blocks("py"))
def test_a_fragment_is_python(code: str) -> None:
    ast.parse(textwrap.dedent(code))


@pytest.mark.parametrize("text", blocks("toml"))
def test_a_configuration_is_one(text: str, tmp_path: Path) -> None:
    file = tmp_path / "enfilade.toml"
    file.write_text(text, "utf-8")

    if "tool" not in tomllib.loads(text):  # that is for pyproject.toml
        load(file, {})


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as a link writes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [
        f"{name}#{anchor}"
        for name, anchor in LINK.findall(FENCE.sub("", page.read_text("utf-8")))
        if not (target := page.parent / name if name else page).exists() or (anchor and anchor not in anchors(target))
    ]

    assert broken == []


def test_each_invariant_names_what_holds_it() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    invariants = [part.partition("\n\n")[0] for part in text.split("- **Invariant: ")[1:]]

    for one in invariants:
        named = re.findall(r"`((?:tests/|\.)[\w./]+)`", one)
        assert named, one
        assert [name for name in named if not (ROOT / name).exists()] == []


def test_each_place_that_the_architecture_names_is_there() -> None:
    text = FENCE.sub("", (ROOT / "ARCHITECTURE.md").read_text("utf-8"))

    named = re.findall(r"`([\w/]+/|[\w/]+\.(?:py|md))`", text)

    assert "contract/" in named
    assert [name for name in named if not ((ROOT / name).exists() or (ROOT / "src/enfilade" / name).exists())] == [
        "src/enfilade/X/", "docs/X.md", "tests/X/",
    ]  # fmt: skip


def test_each_page_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"](docs/{page.name})" not in readme] == []
