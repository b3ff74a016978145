"""What a command says when it cannot do what it was asked: what is wrong, and the next step. Never a traceback."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import IO, Any

import click

from enfilade.errors import StartError


class Refused(click.ClickException):
    """The command ends with this and with exit code 1."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"{click.style('Error:', fg='red')} {self.message}", err=True, file=file)
        if self.remedy:
            click.echo(f"    {self.remedy}", err=True, file=file)


@contextmanager
def start_errors() -> Generator[None]:
    """Inside, an app that cannot start is told finding by finding."""
    try:
        yield
    except StartError as wrong:
        count = len(wrong.findings)
        raise Refused(f"the app cannot start: {count} thing{'s' if count > 1 else ''} to mend.\n\n{wrong}") from wrong
