"""A process that hangs is ended and started again; one that is only busy is left alone."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
from collections.abc import Generator
from contextlib import closing
from typing import Any

import psutil
import pytest

from enfilade.clock import SystemClock
from enfilade.plan.line import ALIVE, Far

LONG = bool(os.environ.get("ENFILADE_FAULTS"))


class Rounds(SystemClock):
    """A clock by which a process answers in some rounds, and in others does not."""

    def __init__(self, process: socket.socket, *answered: int) -> None:
        super().__init__()
        self.slept: list[float] = []
        self._process = process
        self._answered = answered

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) in self._answered:
            self._process.send(f"{ALIVE}\n".encode())
        for _ in range(20):  # what was sent is read meanwhile
            await asyncio.sleep(0)


@pytest.mark.parametrize(("answered", "rounds"), [((), 5), ((1, 2, 3), 8), ((4,), 9), ((4, 8, 12), 17)])
async def test_who_answers_once_in_a_while_does_not_hang(answered: tuple[int, ...], rounds: int) -> None:
    ours, theirs = socket.socketpair()
    far, clock = Far(ours), Rounds(theirs, *answered)
    await far.until_silent(10.0, clock)
    await far.close()
    asked = theirs.recv(4096)
    theirs.close()

    assert clock.slept == [2.0] * rounds
    assert asked == b"alive\n" * rounds


def slow(path: str, text: str) -> str:
    if path != "inn/kitchen/service.py":
        return text
    held = "        if name == 'slow':\n            time.sleep(2)\n        return Dish"
    return text.replace("import os", "import os\nimport time").replace("        return Dish", held, 1)


@pytest.fixture(scope="module")
def quick(fresh: Any) -> Generator[Any]:
    """One where six seconds are enough, and whose kitchen is held up by what is slow."""
    with fresh() as made:
        for path in (version := made.version("first", slow)).rglob("*.py"):
            made.write(str(path.relative_to(version)), path.read_text())
        if LONG:
            made.write("plan.toml", '[rows]\nextends = "split"\nhung = 6.0\n[rows.edge]\nrun = "envoy:"\n')
        with made.running("rows"):
            yield made


def get(inn: Any, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", inn.port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def process(inn: Any, name: str) -> psutil.Process:
    family = psutil.Process(inn.pid).children()
    return next(one for one in family if f"--process {name}" in " ".join(one.cmdline()))


def ended(inn: Any, name: str) -> int:
    return sum(f"{name} has hung for 6 s, and is ended" in line for line in inn.lines)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["kitchen@2", "front", *(["edge"] if LONG else [])])
def test_a_process_that_hangs_is_replaced(quick: Any, name: str) -> None:
    if name == "kitchen@2":
        quick.say("scale", "kitchen=2")
    hangs = process(quick, name)
    os.kill(hangs.pid, signal.SIGSTOP)

    assert quick.until(lambda: ended(quick, name))
    assert quick.until(lambda: any(f"{name} is ready again" in line for line in quick.lines))
    assert process(quick, name).pid != hangs.pid
    assert get(quick, "/tables/soup") == 200
    assert ended(quick, name) == 1


def test_one_that_is_busy_for_two_seconds_is_left_alone(quick: Any) -> None:
    assert get(quick, "/dishes/slow") == 200
    assert get(quick, "/dishes/soup") == 200

    assert ended(quick, "kitchen") == 0
