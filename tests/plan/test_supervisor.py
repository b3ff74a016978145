"""Processes are started in order, watched, started again, and none is left behind."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from enfilade.errors import StartError
from enfilade.plan import Output, Patience, Program, Stopped, Supervisor

PYTHON = (sys.executable, "-S", "-c")
QUICK = Patience(ready=30, first=0.02, most=0.05, steady=60, stop=3)

GOOD = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
os.write(0, b"ready\\n")
print("hello", flush=True)
while True: signal.pause()
"""
STUBBORN = """
import os, signal, subprocess, sys
for one in (signal.SIGTERM, signal.SIGINT): signal.signal(one, signal.SIG_IGN)
inner = subprocess.Popen([sys.executable, "-S", "-c", "import signal\\nwhile True: signal.pause()"])
print("pids", os.getpid(), inner.pid, flush=True)
while True: signal.pause()
"""


class Heard:
    """What was written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.output = Output(self.stream, ("one", "two"))

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    async def until(self, text: str, times: int = 1) -> None:
        async with asyncio.timeout(60):
            while self.text.count(text) < times:  # noqa: ASYNC110  (a pipe is read elsewhere)
                await asyncio.sleep(0.01)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def ours(name: str, script: str, **more: object) -> Program:
    return Program(name=name, command=(*PYTHON, script), ours=True, **more)  # type: ignore[arg-type]


def other(name: str, script: str, **more: object) -> Program:
    return Program(name=name, command=(*PYTHON, script), **more)  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def eventually(true: Callable[[], bool], within: float = 60.0) -> bool:
    until = time.monotonic() + within
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


async def test_a_stage_starts_when_the_one_before_it_is_ready_and_stops_before_it(heard: Heard) -> None:
    async with Supervisor(heard.output, patience=QUICK).running([[ours("one", GOOD)], [ours("two", GOOD)]]) as both:
        await heard.until("hello", 2)
        pids = [one.pid for one in both]

    told = [line for line in heard.text.splitlines() if "ready" in line or "bye" in line]
    assert [line.partition(" is")[0] for line in told[:2]] == ["plan | one", "plan | two"]
    assert told[2:] == ["two  | bye", "one  | bye"]
    assert all(gone(pid) for pid in pids)


async def test_a_process_that_ends_is_told_and_started_again(heard: Heard) -> None:
    async with Supervisor(heard.output, patience=QUICK).running([[ours("one", GOOD)]]) as (child,):
        first = child.pid
        os.kill(first, signal.SIGKILL)
        await heard.until("one is ready again")

        assert child.pid not in (0, first)
        assert "one was ended by SIGKILL; it is started again in" in heard.text


async def test_a_process_that_ends_again_and_again_is_told_as_such(heard: Heard, tmp_path: Path) -> None:
    script = f"""
import os, pathlib, sys
if pathlib.Path({str(tmp_path / "begun")!r}).exists(): print("no luck"); sys.exit(3)
pathlib.Path({str(tmp_path / "begun")!r}).touch()
os.write(0, b"ready\\n")
"""
    async with Supervisor(heard.output, patience=QUICK).running([[ours("one", script)]]):
        await heard.until("one ended with exit code 3, 4 times in a row; its last line: no luck")


def test_pauses_grow_and_differ() -> None:
    patience = Patience(first=1, most=15)

    assert [patience.pause(times, 0.5) for times in (1, 2, 3, 4, 5, 50)] == [1, 2, 4, 8, 15, 15]
    assert (patience.pause(2, 0), patience.pause(2, 1)) == (1, 3)


@pytest.mark.parametrize("make", [ours, other])
async def test_one_that_refuses_to_stop_is_killed_with_all_it_started(
    heard: Heard, make: Callable[..., Program]
) -> None:
    script = STUBBORN.replace("print(", 'os.write(0, b"ready\\n"); print(', 1) if make is ours else STUBBORN
    patience = Patience(ready=30, stop=1.3)
    async with Supervisor(heard.output, patience=patience).running([[make("one", script)]]) as (child,):
        await heard.until("pids")
        pids = [int(one) for one in heard.text.partition("pids ")[2].split()[:2]]
        group = child.pid

    assert not psutil.pid_exists(group)  # its end was waited for
    assert all(eventually(lambda pid=pid: gone(pid)) for pid in pids)


async def test_what_ends_before_it_is_ready_ends_the_start_and_the_others(heard: Heard) -> None:
    with pytest.raises(StartError, match=r"process two: it ended with exit code 3\."):
        async with Supervisor(heard.output, patience=QUICK).running(
            [[ours("one", GOOD)], [ours("two", "import sys; sys.exit(3)")]]
        ):
            raise AssertionError

    assert "one  | bye" in heard.text


async def test_what_is_never_ready_is_told(heard: Heard) -> None:
    hangs = "import signal\nwhile True: signal.pause()"
    with pytest.raises(StartError, match=r"process one: it was not ready within 0\.3 s"):
        async with Supervisor(heard.output, patience=Patience(ready=0.3, stop=1)).running([[ours("one", hangs)]]):
            raise AssertionError


async def test_a_missing_program_is_told(heard: Heard) -> None:
    missing = Program(name="one", command=("/nowhere/nats-server",), ready="127.0.0.1:1")
    with pytest.raises(StartError, match="process one: it ended with exit code 127"):
        async with Supervisor(heard.output, patience=QUICK).running([[missing]]):
            raise AssertionError

    assert "one  | /nowhere/nats-server: No such file or directory" in heard.text


async def test_a_command_is_ready_when_it_accepts_and_not_where_somebody_else_does(
    heard: Heard, unused_tcp_port: int
) -> None:
    at = f"127.0.0.1:{unused_tcp_port}"
    serves = f"""
import socket, time
time.sleep(0.2)
listener = socket.create_server(("127.0.0.1", {unused_tcp_port}))
while True: listener.accept()
"""
    one = other("one", serves, ready=at)
    async with Supervisor(heard.output, patience=QUICK).running([[one]]):
        with pytest.raises(StartError, match=f"somebody else listens at {at}"):
            async with Supervisor(heard.output, patience=QUICK).running([[one]]):
                raise AssertionError


async def test_a_start_can_be_given_up(heard: Heard) -> None:
    stop = asyncio.Event()
    hangs = "import signal\nprint('here', flush=True)\nwhile True: signal.pause()"

    async def give_up() -> None:
        await heard.until("here")
        stop.set()

    giving = asyncio.create_task(give_up())
    with pytest.raises(Stopped):
        async with Supervisor(heard.output, patience=QUICK).running([[ours("one", hangs)]], stop):
            raise AssertionError
    await giving


async def test_a_process_has_no_more_memory_than_it_may(heard: Heard) -> None:
    greedy = f"{GOOD.rpartition('while')[0]}\nall = bytearray(400_000_000)"
    async with Supervisor(heard.output, patience=QUICK).running([[ours("one", greedy, memory=200)]]):
        await heard.until("MemoryError")


async def test_what_nobody_needs_to_know_is_left_out(heard: Heard) -> None:
    script = "print('1 [INF] a banner'); print('2 [ERR] no room', flush=True); import signal; signal.pause()"
    async with Supervisor(heard.output, patience=QUICK).running([[other("one", script, chatter=" [INF] ")]]):
        await heard.until("no room")

    assert "banner" not in heard.text


async def test_a_long_line_and_half_a_line_arrive(heard: Heard) -> None:
    script = 'import sys; sys.stdout.write("x" * 200_000 + "\\nend")'
    with pytest.raises(StartError):
        async with Supervisor(heard.output, patience=QUICK).running([[ours("one", script)]]):
            raise AssertionError

    assert heard.text.count("x") >= 200_000
    assert "one  | end" in heard.text


SUPERVISES = """
import asyncio, signal, sys
from enfilade.plan import Output, Patience, Program, Supervisor
good, stubborn = sys.argv[1:]
async def main():
    output = Output(sys.stdout, ("one", "two"))
    run = lambda name, script, ours: Program(name=name, command=(sys.executable, "-c", script), ours=ours)
    async with Supervisor(output, patience=Patience(stop=1.5)).running(
        [[run("one", good, True), run("two", stubborn, False)]]):
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts on what Linux does when a parent ends")
def test_a_killed_supervisor_leaves_no_orphans() -> None:
    watched = f"from enfilade.plan.line import hold\nhold(2.0)\n{GOOD}"
    command = (sys.executable, "-c", SUPERVISES, watched, STUBBORN)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        seen = ""
        while "pids" not in seen or "hello" not in seen:
            line = supervisor.stdout.readline()
            assert line
            seen += line
        family = psutil.Process(supervisor.pid).children(recursive=True)
        supervisor.kill()

        assert len(family) == 4  # the good one; a leash, the stubborn one and what that started
        assert eventually(lambda: all(gone(one.pid) for one in family))


def test_json_lines_get_the_name_of_their_process() -> None:
    stream = io.StringIO()
    output = Output(stream, ("one",), as_json=True)
    output.line("one", '{"level":"INFO","message":"hello"}')
    output.line("one", "plain")

    assert stream.getvalue().splitlines() == [
        '{"process":"one","level":"INFO","message":"hello"}',
        '{"process": "one", "message": "plain"}',
    ]


TAKES = """
import asyncio, os, sys
from enfilade.plan.line import hold
async def main():
    line = hold(2.0)
    line.say("took", 1)
    line.say("ready")
    async for word in line.words():
        print("heard", word, flush=True)
        if word == "leave":
            return
        if len(sys.argv) == 1:
            line.say("took", 2)
asyncio.run(main())
"""


async def test_processes_are_told_that_the_plan_changed_and_say_that_they_go_by_it(heard: Heard) -> None:
    deaf = Program(name="two", command=(sys.executable, "-c", TAKES, "deaf"), ours=True)
    takes = Program(name="one", command=(sys.executable, "-c", TAKES), ours=True)
    supervisor = Supervisor(heard.output, patience=Patience(take=5, stop=5))
    async with supervisor.running([[takes, deaf], [other("three", "import time; time.sleep(60)")]]):
        assert await supervisor.tell(1) == []
        assert "heard" not in heard.text
        assert await supervisor.tell(2) == ["two"]


async def test_processes_come_and_go_while_others_run(heard: Heard) -> None:
    supervisor = Supervisor(heard.output, patience=Patience(stop=3))
    one, two = (Program(name=name, command=(sys.executable, "-c", TAKES), ours=True) for name in ("one", "two"))
    async with supervisor.running([[one], [ours("three", GOOD)]]):
        await supervisor.add([two], beside="one")
        stays = next(child.pid for child in supervisor.children if child.name == "one")
        await supervisor.leave({"two"})
        with pytest.raises(StartError, match="process four: it ended with exit code 3"):
            await supervisor.add([ours("four", "import sys; sys.exit(3)")], beside="one")

        assert next(child.pid for child in supervisor.children if child.name == "one") == stays
        assert [child.name for child in supervisor.children] == ["one", "three"]
        assert "two  | heard leave" in heard.text
        assert "two ended" not in heard.text


async def test_one_that_starts_while_the_plan_changes_is_told_when_it_is_ready(heard: Heard) -> None:
    program = Program(name="one", command=(sys.executable, "-c", TAKES), ours=True)
    supervisor = Supervisor(heard.output, patience=QUICK)
    async with supervisor.running([[program]]) as (child,):
        os.kill(child.pid, signal.SIGKILL)
        while child.pid:  # noqa: ASYNC110  (its end is noticed elsewhere)
            await asyncio.sleep(0.01)
        assert await supervisor.tell(2) == []
        await heard.until("one is ready again")

        await heard.until("heard plan")
