"""An app that cannot start says why and what to do, in a few lines, and ends with 1."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHOP = HERE.parents[1] / "examples" / "shop"
Prepare = Callable[[Path], object]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return desk_in(tmp_path)


def desk_in(folder: Path) -> Path:
    shutil.copytree(HERE / "desk", folder / "desk", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def refused(project: Path, *options: str, app: str = "desk.app:app", **environ: str) -> str:
    """What `enfilade run` says instead of serving."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")}
    command = [sys.executable, "-m", "enfilade.cli", "run", app, "--port", "0", *options]
    ran = subprocess.run(
        command, cwd=project, env={**env, **environ}, capture_output=True, text=True, timeout=60, check=False
    )

    assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
    assert ran.stderr.startswith("Error: ")
    assert "Traceback" not in ran.stderr
    assert len(ran.stderr.splitlines()) < 12
    return ran.stderr


def edit(file: str, old: str, new: str) -> Prepare:
    def prepare(project: Path) -> None:
        text = (project / file).read_text()
        assert old in text
        (project / file).write_text(text.replace(old, new))

    return prepare


def write(file: str, data: bytes) -> Prepare:
    def prepare(project: Path) -> None:
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_bytes(data)

    return prepare


def said(text: str) -> Prepare:
    return write("enfilade.toml", text.encode())


def folder(name: str) -> Prepare:
    return lambda project: (project / name).mkdir(parents=True)


def another_schema(project: Path) -> None:
    folder(".enfilade/data")(project)
    database = sqlite3.connect(project / ".enfilade/data/desk.db")
    database.execute("CREATE TABLE paper (colour TEXT)")
    database.close()


DATABASE = ".enfilade/data/desk.db"
SERVICE = "desk/service.py"

REFUSED: dict[str, tuple[Prepare, tuple[str, ...]]] = {
    # what is missing
    "a service that nobody gives": (
        edit(SERVICE, "    files: Table[FileRow]", "    files: Table[FileRow]\n    post: dict[str, int]"),
        ("desk/service.py:", "asks for post: dict[str, int]", "app.provide(dict[str, int])"),
    ),
    "a module of the service": (
        edit(SERVICE, "from typing import final", "from typing import final\nimport not_there"),
        ("desk/service.py:", "not_there", "install what it needs"),
    ),
    "a module of the contract": (
        edit("desk/contract.py", "from typing import Annotated", "import not_there\nfrom typing import Annotated"),
        ("desk/contract.py:", "not_there", "Install it"),
    ),
    "the implementation": (
        lambda project: (project / SERVICE).unlink(),
        ("Desk has no implementation", "Write a @final class that inherits Desk in desk/service.py", "[service.desk]"),
    ),
    "a method": (
        edit(SERVICE, "async def length", "async def longth"),
        ("DeskService does not implement length", "Write `async def length("),
    ),
    "a bracket": (edit(SERVICE, "class FileRow(Row):", "class FileRow(Row:"), ("desk/service.py:", "SyntaxError")),
    # what is broken
    "a database of noise": (write(DATABASE, os.urandom(50_000)), (DATABASE, "is not a database", "Restore it")),
    "a database of text": (write(DATABASE, b"hello\n" * 1000), (DATABASE, "is not a database", "Restore it")),
    "a database that is a folder": (folder(DATABASE), (DATABASE, "cannot be opened")),
    "a database of another app": (another_schema, ("drop column paper.colour (destructive)", "enfilade migrate")),
    "a key of noise": (write(".enfilade/issuer.json", b"\x00noise"), (".enfilade/issuer.json", "Delete the file")),
    "a file in the folder's place": (write(".enfilade", b""), (".enfilade", "directory that this user can write")),
    # what is said
    "no TOML": (said("data = \n"), ("enfilade.toml: this is not TOML", "line 1")),
    "no text": (write("enfilade.toml", b"# caf\xe9"), ("enfilade.toml: this cannot be read", "UTF-8")),
    "a folder for a file": (folder("enfilade.toml"), ("enfilade.toml: this cannot be read",)),
    "an unknown word": (said("prot = 8080"), ("enfilade.toml:", "`prot`", "port")),
    "another type": (said('port = "many"'), ("enfilade.toml:", "$.port")),
    "no such port": (said("port = 70000"), ("enfilade.toml:", "$.port", "65535")),
    "no room for anyone": (said("concurrency = 0"), ("enfilade.toml:", "$.concurrency")),
    "more than all traces": (said("[trace]\nsample = 7.0"), ("enfilade.toml:", "$.trace.sample")),
    "a collector without address": (said('[trace]\notlp = "there"'), ("[trace]: otlp", "http://127.0.0.1:4318")),
    "another database": (said('data = "mysql://root@host/desk"'), ("no place for data", "`sqlite:PATH`")),
    "PostgreSQL that is not there": (
        said('data = "postgresql://127.0.0.1:1/desk"'),
        ("does not answer", "Start the server"),
    ),
    "a folder that cannot be": (said('data = "sqlite:/proc/none/{service}.db"'), ("/proc/none", "user can write")),
    "a service without address": (said('[service.desk]\nat = "there"'), ("[service.desk]", "https://desk.example")),
    "no secret": (said("development = false"), ("needs a secret", "ENFILADE_SECRET")),
    "keys that are not there": (
        said('[[issuers]]\nurl = "https://id.example"\naudience = "desk"\njwks_file = "keys.json"'),
        ("keys.json", "jwks_file"),
    ),
    "no address of this machine": (said('host = "192.0.2.1"'), ("192.0.2.1", "--host 127.0.0.1")),
}  # fmt: skip


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """What is told in each case. They are tried side by side: it is the start of Python that takes its time."""

    def attempt(prepare: Prepare, project: Path) -> str:
        prepare(project)
        return refused(project)

    with ThreadPoolExecutor(2) as pool:
        yield {
            what: pool.submit(attempt, prepare, desk_in(tmp_path_factory.mktemp("project")))
            for what, (prepare, _) in REFUSED.items()
        }


@pytest.mark.parametrize("what", REFUSED)
def test_what_keeps_an_app_from_starting_is_told_with_its_remedy(tried: dict[str, Future[str]], what: str) -> None:
    told = tried[what].result()

    assert [word for word in REFUSED[what][1] if word not in told] == [], told


def test_a_variable_that_is_wrong_is_named(project: Path) -> None:
    assert "ENFILADE_TRACE__SAMPLE: " in refused(project, ENFILADE_TRACE__SAMPLE="much")


def test_a_port_that_is_taken_is_told(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = refused(project, "--port", port)

    assert f"port {port} of 127.0.0.1 is taken" in told
    assert "--port" in told.splitlines()[1]
    assert not (project / ".enfilade").exists()


def test_services_do_not_share_one_file(project: Path) -> None:
    elsewhere = "\n".join(f'[service.{name}]\nat = "http://127.0.0.1:1"' for name in ("psp", "carrier", "mail"))
    said(f'data = "sqlite:all.db"\n{elsewhere}')(project)
    told = refused(project, app="shop.app:app", PYTHONPATH=str(SHOP.parent))

    assert "is one file" in told
    assert "{service}" in told


def test_all_that_is_wrong_is_told_at_once(project: Path) -> None:
    edit(SERVICE, "@final\n", "")(project)
    edit(SERVICE, "async def length", "async def longth")(project)
    told = refused(project)

    assert "2 things to mend" in told
