"""`enfilade new`: a project that runs, and passes its own tests and checks, at once."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

from enfilade.cli.refused import Refused

_TAKEN = frozenset(("app", "notes", "test", "tests", "enfilade"))


@click.command()
@click.argument("name")
@click.option("--path", type=click.Path(file_okay=False, path_type=Path), help="Its folder; by default ./NAME.")
def new(name: str, path: Path | None) -> None:
    """Make a project: one small service, with its tests.

    It is called NAME, and passes its own tests and checks at once.
    """
    package = _package(name)
    folder = path or Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is there already, and not empty.", "Say another folder: --path FOLDER")
    words = {"project": name, "package": package}
    try:
        for where, text in _files():
            file = folder / where.replace("package/", f"{package}/", 1)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(words), "utf-8")
    except OSError as error:
        raise Refused(f"{folder} cannot be written: {error.strerror}.", "Say another folder: --path FOLDER") from error
    click.echo(f"Made {folder}. Next:\n\n    cd {folder}\n    enfilade run\n")


def _package(name: str) -> str:
    """The name as Python writes it. Raises Refused where it cannot be one."""
    package = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", package) or package.endswith("_"):
        remedy = "Begin with a letter, then small letters, digits and hyphens: corner-shop."
        raise Refused(f"a project cannot be called {name!r}.", remedy)
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _TAKEN:
        what = f"a project cannot be called {name!r}: Python or Enfilade has that name already."
        raise Refused(what, f"Call it something else, such as {name}-app.")
    return package


def _files() -> Iterator[tuple[str, str]]:
    """The template's files: where each goes, and its text."""
    yield from _below(files("enfilade.cli") / "template", "")


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for one in sorted(folder.iterdir(), key=lambda each: each.name):
        if one.is_dir():
            yield from _below(one, f"{path}{one.name}/")
        elif one.name.endswith(".in"):
            name = one.name.removesuffix(".in")
            yield f"{path}{'.gitignore' if name == 'gitignore' else name}", one.read_text("utf-8")
