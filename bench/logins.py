"""10,000 wrong logins from one address, and a right one beside them: how long it takes, and what is left of them.

The shop in a process of its own, behind a proxy that says who asks. Who floods it is niced as far as it goes, so that
what is measured is the server and not who else is on its cores. Times are medians; each round has its quiet time first.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path[:1] = [str(Path(__file__).parent / "support"), str(EXAMPLES)]  # without this folder, which has a shop.py

import httpx2
import psutil
from claims import Claim, tell

from shop.front import BACK, Form

ROUNDS = 4
WRONG = 10_000
CONNECTIONS = 16
QUIET = 20
PORT = 18432
LOGIN = {"login": "ann@example.com", "password": "correct horse"}
REQUEST = {
    "response_type": "code", "client_id": "web", "redirect_uri": BACK, "scope": "openid", "state": "x",
    "code_challenge": "c" * 43, "code_challenge_method": "S256",
}  # fmt: skip


@contextmanager
def shop() -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(EXAMPLES / "shop" / "enfilade.toml", folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "enfilade.cli", "run", "shop.app:app", "--port", str(PORT)],
            cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(EXAMPLES), "FORWARDED_ALLOW_IPS": "127.0.0.1"},
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


class Flooder(asyncio.Protocol):
    """Sends one wrong login after the other, each with another name, and reads what comes."""

    def __init__(self, fields: dict[str, str], cookie: str, number: int, count: int) -> None:
        self._fields, self._cookie, self._number, self._left = fields, cookie, number, count
        self._buffer = b""
        self.statuses: dict[str, int] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        said = {**self._fields, "login": f"nobody-{self._number}-{self._left}@example.com", "password": "guess"}
        body = urlencode(said).encode()
        self._transport.write(
            b"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1\r\nx-forwarded-for: 192.0.2.1\r\n"
            b"content-type: application/x-www-form-urlencoded\r\ncookie: %s\r\ncontent-length: %d\r\n\r\n%s"
            % (self._cookie.encode(), len(body), body)
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end or len(rest) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
            return
        status = head[9:12].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._buffer = b""
        self._left -= 1
        if self._left:
            self._send()
        else:
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the connection was lost: {exc}"))


async def flood() -> None:
    """In a process of its own."""
    os.nice(19)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{PORT}") as http:
        page = await http.get("/authorize", params=REQUEST, headers={"x-forwarded-for": "192.0.2.1"})
        cookie = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
    fields = Form(page.text).fields
    print("ready", flush=True)
    sys.stdin.readline()
    loop = asyncio.get_running_loop()
    flooders = [
        (
            await loop.create_connection(
                lambda number=number: Flooder(fields, cookie, number, WRONG // CONNECTIONS), "127.0.0.1", PORT
            )
        )[1]
        for number in range(CONNECTIONS)
    ]
    await asyncio.gather(*(one.done for one in flooders))
    assert {status for one in flooders for status in one.statuses} <= {"403", "429"}, flooders[0].statuses


def right(http: httpx2.Client, number: int) -> float:
    """Seconds that a right login takes, of somebody from elsewhere."""
    http.cookies.clear()
    said = {"x-forwarded-for": f"10.0.{number // 250}.{number % 250}"}
    form = Form(http.get("/authorize", params=REQUEST, headers=said).text)
    began = time.perf_counter()
    answer = http.post(form.action, data={**form.fields, **LOGIN}, headers=said)
    took = time.perf_counter() - began
    assert answer.status_code == 303, answer.text
    return took


def beside(http: httpx2.Client, number: Iterator[int]) -> list[float]:
    """What right logins take while 10,000 wrong ones come."""
    command = [sys.executable, __file__, "flood"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as flooder:
        assert flooder.stdin is not None
        assert flooder.stdout is not None
        flooder.stdout.readline()
        flooder.stdin.write(b"go\n")
        flooder.stdin.flush()
        found: list[float] = []
        while flooder.poll() is None:
            found.append(right(http, next(number)))
    assert flooder.returncode == 0
    return found[:-1]


def warm(number: Iterator[int]) -> None:
    """Several at once, so that each thread that hashes has had its memory."""

    def several(_: int) -> None:
        with httpx2.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as http:
            for _ in range(5):
                right(http, next(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(several, range(4)))


def main() -> None:
    quiet: list[float] = []
    flooded: list[float] = []
    resident: list[float] = []
    number = count(1)
    with shop() as process, httpx2.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as http:
        account = {"name": "Ann", "email": LOGIN["login"], "password": LOGIN["password"]}
        http.post("/accounts", json=account).raise_for_status()
        watch = psutil.Process(process.pid)
        warm(number)
        beside(http, number)
        for _ in range(ROUNDS):
            resident.append(watch.memory_info().rss / 1e6)
            quiet.append(median(right(http, next(number)) for _ in range(QUIET)))
            flooded.append(median(beside(http, number)))
        resident.append(watch.memory_info().rss / 1e6)
    tell(
        [
            Claim(
                "a right login beside 10,000 wrong ones, over its quiet time",
                min(flooded) / min(quiet),
                "times",
                "<= 2",
            ),
            Claim("a right login in quiet times", min(quiet) * 1000, "ms", ""),
            Claim(
                "memory after 50,000 wrong logins, over that after 10,000",
                resident[-1] / resident[0],
                "times",
                "<= 1.05",
            ),
        ]
    )


if __name__ == "__main__":
    if "flood" in sys.argv:
        asyncio.run(flood())
    else:
        main()
