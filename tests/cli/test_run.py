"""Serving an app, and stopping."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from enfilade.cli.refused import Refused
from enfilade.cli.serve import serving
from enfilade.cli.target import load_app


@contextmanager
def running(project, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`enfilade run` in a process of its own, and the URL that it says when it is ready."""
    command = [sys.executable, "-m", "enfilade.cli", "run", "--port", "0", *options]
    process = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, ready(process)
    finally:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"Ready: (http://127\.0\.0\.1:\d+)\n", line)
    assert found, line or process.stderr.read()  # type: ignore[union-attr]
    return found[1]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_is_ready_when_it_says_so_and_ends_well(project, how):
    with running(project) as (process, url):
        answer = httpx2.get(f"{url}/readyz")
        token = project.run("token", "ann").output.strip()
        written = httpx2.post(f"{url}/notes", json={"text": "tea"}, headers={"authorization": f"Bearer {token}"})
        process.send_signal(how)
        _, errors = process.communicate(timeout=20)

        assert answer.status_code == 200
        assert written.status_code == 201
        assert process.returncode == 0
        assert "Traceback" not in errors
        assert "server" not in answer.headers


def test_what_runs_is_finished_before_it_ends(project):
    project.edit("PKG/notes/service.py", "from datetime", "import asyncio\nfrom datetime")
    slow = '        print("begun", flush=True)\n        await asyncio.sleep(1)\n        row = await self.rows.get(id)'
    project.edit("PKG/notes/service.py", "        row = await self.rows.get(id)", slow)
    token = project.run("token", "ann").output.strip()
    with running(project) as (process, url):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            client.sendall(f"GET /notes/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode())
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGTERM)
            answer = client.recv(4096)
        process.communicate(timeout=20)

        assert answer.startswith(b"HTTP/1.1 404 ")
        assert process.returncode == 0


def test_a_port_that_is_taken_is_one_clear_message(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = project.run("run", "--port", str(port))

    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"Error: port {port} of 127.0.0.1 is taken")
    assert f"--port {port + 1}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_address_that_is_none_is_one_clear_message(project):
    assert "is no address of this machine" in project.run("run", "--host", "no.such.host.invalid").stderr


def test_an_app_that_cannot_start_says_why_and_ends(project):
    project.edit("PKG/notes/service.py", "@final\n", "")
    refused = project.run("run", "--port", "0")

    assert refused.exit_code == 1
    assert "the app cannot start: 1 thing to mend" in refused.stderr
    assert "is not @final" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_service_that_cannot_be_imported_is_one_clear_message(project):
    project.edit("PKG/notes/service.py", "from datetime", "import nowhere_at_all\nfrom datetime")
    refused = project.run("run", "--port", "0")

    assert refused.exit_code == 1
    assert "No module named 'nowhere_at_all'" in refused.stderr
    assert f"{project.package}/notes/service.py:4" in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_an_app_is_served_inside_a_block_and_not_after_it(project):
    app = load_app(None)
    async with serving(app, port=0) as url, httpx2.AsyncClient() as http:
        assert (await http.get(f"{url}/healthz")).status_code == 200

    with pytest.raises(httpx2.ConnectError):
        await asyncio.to_thread(httpx2.get, f"{url}/healthz")


async def test_what_is_mounted_is_served_beside_it(project):
    async def old(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        said = f"{scope['root_path']} {scope['path']} {(await receive())['body'].decode()}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": said})

    app = load_app(None)
    app.mount("/old", old)
    async with serving(app, port=0) as url, httpx2.AsyncClient() as http:
        mounted = await http.post(f"{url}/old/tea", content=b"hot")
        ours = await http.get(f"{url}/healthz")

    assert (mounted.text, mounted.headers["transfer-encoding"]) == ("/old /old/tea hot", "chunked")
    assert ours.json() == {"status": "live"}


async def test_a_taken_port_is_refused_before_the_app_starts(project):
    app = load_app(None)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Refused, match="is taken"):
        async with serving(app, port=taken.getsockname()[1]):
            pass

    assert app.running_now is None


def test_reload_starts_again_when_a_file_changes(project):
    with running(project, "--reload") as (process, url):
        assert httpx2.get(f"{url}/openapi.json").json()["info"]["title"] == project.package
        project.edit("PKG/app.py", f'App("{project.package}"', 'App("changed"')
        again = ready(process)

        assert httpx2.get(f"{again}/openapi.json").json()["info"]["title"] == "changed"

        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == 0
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{again}/healthz")


def test_reload_waits_for_a_mistake_to_be_mended(project):
    project.edit("PKG/notes/service.py", "@final\n", "")
    command = [sys.executable, "-m", "enfilade.cli", "run", "--port", "0", "--reload"]
    process = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "is not @final" not in process.stderr.readline():
            assert process.poll() is None
        project.edit("PKG/notes/service.py", "@dataclass\n", "@final\n@dataclass\n")
        assert ready(process).startswith("http")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_reload_without_watchfiles_says_how_to_get_it(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    refused = project.run("run", "--reload")

    assert refused.exit_code == 1
    assert "enfilade[reload]" in refused.stderr
