"""`enfilade run --reload`: a supervisor that starts the app again when its files change."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from enfilade.cli.refused import Refused

_PATIENCE: Final = 15.0
"""Seconds that a child may take to stop: a little more than the default `drain`."""


def supervise(arguments: Sequence[str]) -> None:
    """Run `enfilade run` in a child, again whenever a file changes, until Ctrl-C. A second Ctrl-C kills the child."""
    try:
        from watchfiles import Change, DefaultFilter, watch
    except ImportError as missing:
        remedy = "Install it: pip install 'enfilade[reload]'"
        raise Refused("--reload needs the package watchfiles.", remedy) from missing

    class Sources(DefaultFilter):
        def __call__(self, change: Change, path: str) -> bool:
            return path.endswith((".py", ".toml")) and super().__call__(change, path)

    command = [sys.executable, "-m", "enfilade.cli", "run", *arguments]
    with _interrupted_by(signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        child = _start(command)
        try:
            for changes in watch(Path.cwd(), watch_filter=Sources(), raise_interrupt=True):
                changed = sorted({Path(path).name for _, path in changes})
                click.echo(f"Changed: {', '.join(changed)}. Starting again.", err=True)
                _stop(child)
                child = _start(command)
        except KeyboardInterrupt:
            click.echo("Stopping.", err=True)
        finally:
            _stop(child)


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    # In a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone, which then stops the child.
    return subprocess.Popen(command, start_new_session=True)  # noqa: S603  (ourselves, with the user's own arguments)


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_PATIENCE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()


@contextmanager
def _interrupted_by(*signals: signal.Signals) -> Generator[None]:
    """Inside, these signals do what Ctrl-C does."""
    before = {one: signal.signal(one, signal.default_int_handler) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
