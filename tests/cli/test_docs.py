"""docs/cli.md and docs/check.md have everything, and nothing that is not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

from enfilade.cli import main

ROOT = Path(__file__).parents[2]
CLI = (ROOT / "docs/cli.md").read_text()
CHECK = (ROOT / "docs/check.md").read_text()


def commands(group: click.Group, name: str = "enfilade") -> Iterator[tuple[str, click.Command]]:
    for command in group.commands.values():
        full = f"{name} {command.name}"
        yield full, command
        if isinstance(command, click.Group):
            yield from commands(command, full)


def section(name: str) -> str:
    """The part of the page that is about a command."""
    parts = re.split(r"^## ", CLI, flags=re.MULTILINE)
    return next(part for part in parts if part.startswith((f"{name}\n", f"{name} ")))


def test_every_command_and_option_is_in_the_docs():
    for name, command in commands(main):
        top = " ".join(name.split()[:2])
        text = section(name if f"## {name}" in CLI else top if f"## {top}" in CLI else f"{name} openapi")
        assert name in text
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert f"| `{parameter.opts[0]}` |" in text, f"{name} {parameter.opts[0]}"


def test_every_option_in_the_docs_is_one():
    known = {option for _, command in commands(main) for parameter in command.params for option in parameter.opts}

    assert set(re.findall(r"^\| `(--[a-z]+)` \|", CLI, flags=re.MULTILINE)) <= known


def test_every_command_says_what_it_does_in_one_line():
    for name, command in commands(main):
        assert command.get_short_help_str(100).endswith("."), name
        assert len(command.get_short_help_str(100)) <= 60, name


def test_every_rule_is_in_the_docs_and_no_other():
    used = set()
    for file in [*(ROOT / "src/enfilade/govern").glob("*.py"), ROOT / "src/enfilade/service/find.py"]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
                "Finding",
                "finding",
            ):
                at = 0 if getattr(node.func, "attr", "") == "finding" else 3
                if len(node.args) > at and isinstance(node.args[at], ast.Constant):
                    used.add(node.args[at].value)
    listed = {
        rule
        for row in re.findall(r"^\| (`.*?) \|", CHECK, flags=re.MULTILINE)
        for rule in re.findall(r"`([a-z-]+)`", row)
    }

    assert used - {"exemption"} == listed
    assert "(`exemption`)" in CHECK
