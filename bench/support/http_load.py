"""A server in a process of its own, a load on it, and the CPU that it took."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

HERE = Path(__file__).parent


class Server:
    """`python bench/support/servers/<name>.py PORT`, warmed by the first load."""

    def __init__(self, name: str, **environ: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "servers" / f"{name}.py"), str(self.port)],
            env={**os.environ, **environ},
            stdout=subprocess.DEVNULL,
        )
        self._watch = psutil.Process(self._process.pid)
        self._wait()

    def _wait(self) -> None:
        for _ in range(300):
            if self._process.poll() is not None:
                raise RuntimeError(f"the server {self.name} ended with {self._process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"the server {self.name} did not start")

    def cpu(self) -> float:
        """Seconds of CPU so far, with all threads and what it has started; to the nanosecond, where `cpu_times` counts
        ticks of 10 ms."""
        all = (self._watch, *self._watch.children())
        tasks = [task for one in all for task in Path(f"/proc/{one.pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident(self) -> int:
        """Bytes of resident memory."""
        return self._watch.memory_info().rss

    def stop(self) -> None:
        for one in self._watch.children():
            one.terminate()
        self._process.terminate()
        self._process.wait(20)


class _Client(asyncio.Protocol):
    """Sends one request after the other over one connection; counts answers by Content-Length."""

    def __init__(self, request: bytes, count: int, status: bytes) -> None:
        self._request = request
        self._left = count
        self._status = status
        self._buffer = bytearray()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end]).lower()
            if not head.startswith(self._status, 9):
                self._fail(f"unexpected answer: {bytes(self._buffer[:400])!r}")
                return
            at = head.index(b"content-length:") + 15
            whole = end + 4 + int(head[at:].split(b"\r\n", 1)[0])
            if len(self._buffer) < whole:
                return
            del self._buffer[:whole]
            self._left -= 1
            if self._left == 0:
                self._transport.close()
                self.done.set_result(None)
                return
            self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was lost: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))


async def _load(port: int, request: bytes, count: int, connections: int, status: bytes) -> None:
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _Client(request, count // connections, status), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))


def load(server: Server, request: bytes, count: int, *, connections: int = 16, status: int = 200) -> float:
    """CPU microseconds of the server per request."""
    before = server.cpu()
    asyncio.run(_load(server.port, request, count, connections, str(status).encode()))
    return (server.cpu() - before) * 1e6 / (count // connections * connections)


def post(path: str, body: bytes, **headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "host: localhost",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
