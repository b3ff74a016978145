"""What pytest has of us, in every project with Enfilade: `--shape`, which says in how many processes stages run."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("enfilade").addoption(
        "--shape", default="", help="In what shape stages run: plain, codec, rpc or split (see docs/testing.md)."
    )


def pytest_configure(config: pytest.Config) -> None:
    if not (said := config.getoption("--shape")):
        return
    # Only now, or every run of pytest would wait for it.
    from enfilade.errors import Misuse
    from enfilade.testing.shape import VARIABLE, chosen

    try:
        shape = chosen(said)
    except Misuse as wrong:
        raise pytest.UsageError(f"--shape: {wrong}") from wrong
    before = os.environ.get(VARIABLE, "")
    os.environ[VARIABLE] = shape or ""

    def restore() -> None:
        os.environ[VARIABLE] = before

    config.add_cleanup(restore)
