"""Processes of ours are forked, and nobody can tell: they start, end and are watched as those that are executed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from pathlib import Path

import psutil
import pytest

from enfilade.plan import Output, Patience, Program, Supervisor
from enfilade.plan.nursery import Nursery, forks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are executed elsewhere")

PYTHON = (sys.executable, "-m")
QUICK = Patience(ready=30, first=0.02, most=0.05, steady=60, stop=5)

GOOD = """
import signal
from enfilade.plan.line import hold
signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
hold(2.0).say("ready")
while True: signal.pause()
"""


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Generator[Nursery]:
    """With a module `told`, which runs what it is told; the nursery does not import it."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "told.py").write_text("import json, os, sys\nexec(sys.argv[1])")
    with contextlib.chdir(folder), contextlib.closing(Nursery("enfilade.plan", "tomllib")) as nursery:
        nursery.start()
        yield nursery


class Plan:
    """Programs under supervision, and what they wrote."""

    def __init__(self, nursery: Nursery) -> None:
        self.stream = io.StringIO()
        self.supervisor = Supervisor(Output(self.stream, ("one",)), patience=QUICK, nursery=nursery)

    @contextlib.asynccontextmanager
    async def running(self, script: str, **more: object) -> AsyncGenerator[psutil.Process]:
        async with self.supervisor.running([[self.program(script, **more)]]) as (child,):
            yield psutil.Process(child.pid)

    def program(self, script: str, **more: object) -> Program:
        return Program(name="one", command=(*PYTHON, "told", script), ours=True, **more)  # type: ignore[arg-type]

    async def until(self, text: str) -> None:
        async with asyncio.timeout(30):
            while text not in self.stream.getvalue():  # noqa: ASYNC110  (a pipe is read elsewhere)
                await asyncio.sleep(0.01)


@pytest.fixture
def plan(nursery: Nursery) -> Plan:
    return Plan(nursery)


async def asked(nursery: Nursery, expression: str) -> object:
    code, wrote = await nursery.ask((*PYTHON, "told", f"print(json.dumps({expression}))"))
    assert code == 0
    return json.loads(wrote)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  (nothing tells us)
            await asyncio.sleep(0.02)


def nursery_of(process: psutil.Process) -> psutil.Process:
    (found,) = (one for one in process.children() if "enfilade.plan.nursery" in " ".join(one.cmdline()))
    return found


async def test_what_is_forked_has_the_framework_and_nothing_of_the_app(nursery: Nursery) -> None:
    code = "('tomllib' in sys.modules, sorted(m for m in sys.modules if m == 'told'), sys.argv[0], sys.path[0])"

    assert await asked(nursery, code) == [True, [], str(Path.cwd() / "told.py"), str(Path.cwd())]


async def test_the_nursery_has_one_thread_and_no_file_but_its_line(nursery: Nursery) -> None:
    await asked(nursery, "0")
    own = nursery_of(psutil.Process())

    assert own.num_threads() == 1
    assert own.num_fds() == 3
    assert not own.children()


async def test_it_loads_more_for_those_who_are_forked_later(nursery: Nursery) -> None:
    loaded = "['colorsys' in sys.modules, __import__('re')._cache == {}]"
    before = await asked(nursery, "'colorsys' in sys.modules")
    await nursery.load("colorsys", "nowhere.to.be.found", "re:purge")

    assert not before
    assert await asked(nursery, loaded) == [True, True]


async def test_what_is_forked_is_a_child_of_the_supervisor_in_a_session_of_its_own(plan: Plan) -> None:
    async with plan.running(GOOD) as child:
        assert child.ppid() == os.getpid()
        assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
        assert [one for one in child.cmdline() if one][:3] == [*PYTHON, "told"]

    assert gone(child.pid)
    assert "one  | bye" in plan.stream.getvalue()


async def test_no_file_of_the_nursery_or_of_another_child_is_open_in_what_is_forked(
    plan: Plan, nursery: Nursery
) -> None:
    async with plan.running(GOOD):
        assert await asked(nursery, "sorted(map(int, os.listdir('/proc/self/fd')))[:-1]") == [0, 1, 2]


async def test_exit_codes_and_signals_are_told_and_it_is_forked_again(plan: Plan) -> None:
    async with plan.running(GOOD) as child:
        child.kill()
        await plan.until("one was ended by SIGKILL; it is started again")
        await plan.until("one is ready again")
        again = plan.supervisor.children[0].pid

        assert again != child.pid
        assert psutil.Process(again).ppid() == os.getpid()


async def test_one_that_ends_by_itself_is_told_by_its_exit_code(plan: Plan) -> None:
    script = "from enfilade.plan.line import hold; hold(1).say('ready'); sys.exit(7)"
    async with plan.supervisor.running([[plan.program(script)]]):
        await plan.until("one ended with exit code 7")


async def test_environment_port_and_memory_are_its_own(plan: Plan) -> None:
    script = f"""
import resource, socket
port = socket.socket(fileno=int(os.environ["ENFILADE_LISTEN"]))
print(port.getsockname()[1], os.environ["ENFILADE_X"], resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20, flush=True)
try: whole = bytearray(400_000_000)
except MemoryError: print("no room", flush=True)
{GOOD}"""
    with socket.create_server(("127.0.0.1", 0)) as port:
        environment = {"ENFILADE_LISTEN": str(port.fileno()), "ENFILADE_X": "y"}
        async with plan.running(script, ports=[port], environment=environment, memory=300):
            await plan.until("no room")

        assert f"one  | {port.getsockname()[1]} y 300" in plan.stream.getvalue()
    assert "ENFILADE_X" not in os.environ


async def test_no_two_of_them_draw_the_same(nursery: Nursery) -> None:
    draws = "__import__('random').random(), str(__import__('uuid').uuid4()), __import__('ssl').RAND_bytes(8).hex()"
    drawn = [await asked(nursery, f"[{draws}]") for _ in range(3)]

    assert len({one for each in drawn for one in each}) == 9  # type: ignore[attr-defined]


async def test_a_killed_nursery_is_started_again_and_its_children_go_on(plan: Plan, nursery: Nursery) -> None:
    async with plan.running(GOOD) as child:
        own = nursery_of(psutil.Process())
        own.kill()
        await eventually(lambda: gone(own.pid))
        code, wrote = await nursery.ask((*PYTHON, "platform"))

        assert code == 0
        assert wrote.startswith(b"Linux")
        assert nursery_of(psutil.Process()).pid != own.pid
        assert child.is_running()
        assert "started again" not in plan.stream.getvalue()


async def test_what_is_never_ready_is_killed(plan: Plan) -> None:
    with pytest.raises(Exception, match="it ended with exit code 5"):
        async with plan.running("sys.exit(5)"):
            raise AssertionError


@pytest.mark.parametrize(
    ("command", "environment", "does"),
    [
        ((sys.executable, "-m", "enfilade.cli", "run"), {"ENFILADE_PORT": "1"}, True),
        ((sys.executable, "-m", "enfilade.cli", "run"), {"PYTHONPATH": "."}, False),
        ((sys.executable, "-m", "enfilade.cli", "run"), {"TZ": "Asia/Tokyo"}, False),
        (("/elsewhere/.venv/bin/python", "-m", "enfilade.cli", "run"), {}, False),
        ((sys.executable, "-c", "pass"), {}, False),
    ],
)
def test_another_python_and_other_variables_are_for_one_that_is_executed(
    command: Sequence[str], environment: dict[str, str], does: bool
) -> None:
    assert forks(command, environment) is does


SUPERVISES = """
import asyncio, sys
from enfilade.plan import Output, Patience, Program, Supervisor
from enfilade.plan.nursery import Nursery
async def main():
    one = Program(name="one", command=(sys.executable, "-m", "told", sys.argv[1]), ours=True)
    supervisor = Supervisor(Output(sys.stdout, ("one",)), patience=Patience(stop=1.5), nursery=Nursery())
    async with supervisor.running([[one]]):
        print("running", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def test_a_killed_supervisor_leaves_neither_nursery_nor_children(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text("import sys\nexec(sys.argv[1])")
    command = (sys.executable, "-c", SUPERVISES, GOOD)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        while "running" not in (line := supervisor.stdout.readline()):
            assert line
        family = psutil.Process(supervisor.pid).children(recursive=True)
        supervisor.send_signal(signal.SIGKILL)

        assert len(family) == 2
        until = time.monotonic() + 30
        while not all(gone(one.pid) for one in family):
            assert time.monotonic() < until
            time.sleep(0.02)
