"""The commands that read an app: check, routes, export, token, migrate, trace, dead-letters."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from joserfc.jws import extract_compact

from enfilade.cli.stores import stores_of
from enfilade.cli.target import load_app
from enfilade.store import Entry
from enfilade.trace.file import TraceFile
from enfilade.trace.span import Span


def test_check_says_what_it_found_and_fails(project):
    project.edit("PKG/notes/contract.py", '"DELETE /notes/{id}", raises=[UnknownNote]', '"DELETE /notes/{id}"')
    found = project.run("check")

    assert found.exit_code == 1
    assert f"{project.package}/notes/service.py" in found.output
    assert "error[undeclared-problem] notes.forget may answer with UnknownNote" in found.output
    assert "1 error, 0 warnings: 1 service read." in found.output


def test_check_answers_programs_in_json(project):
    project.edit("PKG/notes/contract.py", '"DELETE /notes/{id}", raises=[UnknownNote]', '"DELETE /notes/{id}"')
    found = project.run("check", "--json")

    assert found.exit_code == 1
    (one,) = json.loads(found.output)
    assert set(one) == {"where", "rule", "severity", "what", "remedy"}
    assert (one["rule"], one["severity"]) == ("undeclared-problem", "error")


def test_warnings_fail_where_that_is_asked_for(project):
    project.edit("PKG/notes/contract.py", "needs=Owner)", "needs=signed_in)")
    project.edit("PKG/notes/contract.py", "    query,\n", "    query,\n    signed_in,\n")

    assert project.run("check").exit_code == 0
    assert project.run("check", "--strict").exit_code == 1
    assert "warning[forgotten-owner]" in project.run("check").output


def test_the_program_is_a_module_too():
    said = subprocess.run([sys.executable, "-m", "enfilade", "--version"], capture_output=True, text=True, check=True)

    assert said.stdout == f"enfilade, version {version('enfilade')}\n"


def test_routes_are_listed(project):
    listed = project.run("routes")

    assert listed.output.splitlines()[0].split() == ["METHOD", "PATH", "OPERATION", "NEEDS", "RATE"]
    assert "POST    /notes       notes.write   owner  60/minute per caller" in listed.output
    assert len(json.loads(project.run("routes", "--json").output)) == 4


def test_the_openapi_document_is_what_the_app_serves(project):
    printed = project.run("export", "openapi")
    written = project.run("export", "openapi", "--output", "openapi.json")

    assert list(json.loads(printed.output)["paths"]) == ["/notes", "/notes/{id}"]
    assert written.output == "Wrote openapi.json.\n"
    assert json.loads((project.folder / "openapi.json").read_text()) == json.loads(printed.output)
    assert project.run("export", "openapi", "--output", "no/where.json").exit_code == 1


def test_a_token_names_its_subject(project):
    said = project.run(
        "token", "ann", "--scope", "a", "--scope", "b", "--role", "editor", "--tenant", "t", "--ttl", "10m"
    )
    claims = json.loads(extract_compact(said.output.strip().encode()).payload)

    assert (claims["sub"], claims["scope"], claims["roles"], claims["tenant"]) == ("ann", "a b", ["editor"], "t")
    assert claims["exp"] - claims["iat"] == 600
    assert claims["aud"] == project.package


def test_a_token_for_an_app_outside_development_is_refused(project):
    project.edit("enfilade.toml", "development = true", "development = false")

    assert "believes no tokens of this machine" in project.run("token", "ann").stderr
    assert project.run("token", "ann", "--ttl", "soon").exit_code == 2


def test_migrate_shows_changes_then_makes_them(project):
    shown = project.run("migrate")
    made = project.run("migrate", "--apply")

    assert shown.exit_code == 1
    assert "enfilade migrate --apply" in shown.output
    assert made.exit_code == 0
    assert project.run("migrate").output == "Nothing to do: the databases have what the rows say.\n"
    with sqlite3.connect(project.folder / ".enfilade/data/notes.db") as database:
        assert database.execute("select count(*) from note").fetchone() == (0,)


def test_migrate_refuses_what_loses_data_unless_it_is_told(project):
    project.run("migrate", "--apply")
    with sqlite3.connect(project.folder / ".enfilade/data/notes.db") as database:
        database.execute("alter table note add column old text")
    refused = project.run("migrate", "--apply")

    assert refused.exit_code == 1
    assert "--destructive" in refused.output
    (change,) = json.loads(project.run("migrate", "--json").output)
    assert (change["service"], change["kind"], change["applied"]) == ("notes", "destructive", False)
    assert project.run("migrate", "--apply", "--destructive").exit_code == 0
    assert project.run("migrate", "--destructive").exit_code == 2


def test_a_database_file_that_is_damaged_is_told_with_a_remedy(project):
    project.run("migrate", "--apply")
    (project.folder / ".enfilade/data/notes.db").write_bytes(b"not a database" * 100)
    refused = project.run("migrate")

    assert refused.exit_code == 1
    assert "notes.db" in refused.stderr
    assert "Restore it from a copy" in refused.stderr


async def bury(at: datetime) -> None:
    """One dead letter, as retries in vain would have left it."""
    async with stores_of(load_app(None)) as stores:
        store = stores["notes"]
        await store.migrate(apply=True)
        entry = Entry(id="e1", topic="notes.NoteWritten", source="notes", key="k", at=at, body=b'{"note": 1}')
        await store.inbox.accept("notes.heed", [entry])
        (delivery,) = await store.inbox.claim(datetime.now(UTC), consumers=["notes.heed"])
        await store.inbox.bury(delivery, "ValueError: I cannot hear\nTraceback")


def test_dead_letters_are_listed_retried_and_dropped(project):
    assert project.run("migrate", "--apply").exit_code == 0
    assert project.run("dead-letters").output == "There are no dead letters.\n"
    asyncio.run(bury(datetime(2026, 1, 1, tzinfo=UTC)))

    listed = project.run("dead-letters", "list").output
    (one,) = json.loads(project.run("dead-letters", "list", "--json").output)

    assert "notes.heed/e1  notes    notes.NoteWritten  k    1" in listed
    assert "ValueError: I cannot hear" in listed
    assert "Traceback" not in listed
    assert (one["id"], one["event_id"]) == ("notes.heed/e1", "e1")
    assert (
        one["body"] == "(11 bytes that cannot be read as an event)"
    )  # in clear only what is known not to be Sensitive

    assert project.run("dead-letters", "retry", "notes.heed/e1").output == "It will be heard again.\n"
    assert "no dead letter" in project.run("dead-letters", "drop", "notes.heed/e1").stderr
    asyncio.run(bury(datetime(2026, 1, 1, tzinfo=UTC)))
    assert project.run("dead-letters", "drop", "notes.heed/e1").output == "It is forgotten.\n"
    assert json.loads(project.run("dead-letters", "list", "--json").output) == []


def test_an_app_that_keeps_its_rows_in_memory_has_nothing_to_migrate(project):
    project.edit("enfilade.toml", "port = 8080", 'port = 8080\ndata = "sqlite::memory:"')

    assert "keeps its rows in memory" in project.run("migrate").stderr


def test_traces_are_listed_and_shown_as_a_tree(project):
    assert "There are no traces in .enfilade/traces" in project.run("trace").output
    span = Span(0xABC, 1, 0, "notes.write", "notes", "internal", "", 0.0, 1767225600.0, {}, duration=0.0012)
    part = Span(0xABC, 2, 1, "other.call", "other", "internal", "notes", 0.0, 1767225600.0, {}, duration=0.001)
    other = Span(0xDEF, 3, 0, "notes.note", "notes", "internal", "", 0.0, 1767225601.0, {}, duration=0.001)
    TraceFile(project.folder / ".enfilade/traces").write([part, span, other], lambda _: True)

    listed = project.run("trace").output.splitlines()
    one = json.loads(project.run("trace", "--json", "--limit", "1").output)
    tree = project.run("trace", "0" * 29 + "abc").output

    assert [line.split()[3] for line in listed] == ["notes.write", "notes.note"]
    assert [trace["trace_id"] for trace in one] == ["0" * 29 + "def"]
    assert "notes.write" in tree
    assert "└─ other.call" in tree
    assert len(json.loads(project.run("trace", "0" * 29 + "abc", "--json").output)["spans"]) == 2
    assert "2 traces" in project.run("trace", "0").stderr
    assert "no traces" in project.run("trace", "fff").stderr


def test_check_access_tries_who_gets_in(project):
    found = project.run("check", "--access")

    assert found.exit_code == 0
    assert "no findings" in found.output
    assert "There is no story" in found.output
