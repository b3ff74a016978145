"""`enfilade test`: the project's tests, in one shape or in all."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from enfilade.cli.refused import Refused
from enfilade.cli.target import json_option

if TYPE_CHECKING:
    from enfilade.testing.parity import Parity


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--shape", metavar="SHAPE", default="", help="Run them as plain, codec, rpc or split.")
@click.option("--parity", "as_parity", is_flag=True, help="Run them in every shape, and tell what differs.")
@json_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(shape: str, as_parity: bool, as_json: bool, arguments: tuple[str, ...]) -> None:
    """Run the project's tests, in one shape or in all.

    ARGUMENTS are pytest's: paths, and options that are not named here; all that follows `--`.

    Exit code: pytest's; with --parity 0 where every test with a stage passes in every shape, and 1 otherwise.
    """
    if importlib.util.find_spec("pytest") is None:
        raise Refused("pytest is not installed here.", "Install it: pip install pytest pytest-asyncio")
    if not as_parity:
        environ = {**os.environ, **({"ENFILADE_SHAPE": _known(shape)} if shape else {})}
        command = [sys.executable, "-m", "pytest", *arguments]
        sys.exit(subprocess.run(command, env=environ, check=False).returncode)  # noqa: S603  (ourselves)
    from enfilade.testing.parity import Stopped, parity

    try:
        found = parity(arguments, sys.stderr if as_json else None)
    except Stopped as stopped:
        sys.exit(stopped.args[0])
    click.echo(_json(found) if as_json else _text(found))
    sys.exit(1 if found.different or not found.tests else 0)


def _known(shape: str) -> str:
    from enfilade.errors import Misuse
    from enfilade.testing.shape import chosen

    try:
        return chosen(shape) or ""
    except Misuse as wrong:
        raise Refused(str(wrong), "Such as: enfilade test --shape rpc") from wrong


def _text(found: Parity) -> str:
    lines: list[str] = []
    for name, outcomes in found.different.items():
        lines.append(click.style(name, bold=True))
        for shape, one in outcomes.items():
            lines.append(f"    {shape:<6} {one.outcome}{f': {one.said}' if one.said else ''}")
    if not found.tests:
        lines.append("No test has a Stage or a Bench: see docs/testing.md.")
    return "\n".join([*lines, f"parity: {found.figure}"])


def _json(found: Parity) -> str:
    return json.dumps(
        {
            "parity": found.figure,
            "tests": {
                name: {shape: {"outcome": one.outcome, "said": one.said} for shape, one in outcomes.items()}
                for name, outcomes in found.tests.items()
            },
        },
        indent=2,
    )
