"""How an operator changes the plan in force: a contract, served by the supervisor for its own user alone.

It is reached at a socket in the folder where the processes meet. Each change tells first what it changes, then
how it goes on; whoever hangs up meanwhile gives up a release, and calls go back to the version before.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from enfilade.call import Call
from enfilade.clock import SystemClock
from enfilade.contract.blob import Stream
from enfilade.contract.declare import command, contract, query
from enfilade.contract.message import Message
from enfilade.contract.need import peers
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.endpoint.handle import handle
from enfilade.endpoint.rpc import Link, connect, listening, rpc
from enfilade.endpoint.site import Site
from enfilade.errors import Problem
from enfilade.plan.sockets import address_of
from enfilade.service.host import hosted
from enfilade.store.blobs import MemoryBlobs
from enfilade.trace.recorder import Recorder

_HOUR: Final = 3600.0


class Unchanged(Problem, status=409):
    """The plan in force stays as it is."""


class Difference(Message):
    """One thing that a change changes."""

    what: str
    before: str
    after: str


class Progress(Message):
    """How a change goes on."""

    text: str = ""
    wrong: bool = False
    differences: tuple[Difference, ...] = ()
    """What is changed in the plan in force."""


class Trial(Message):
    """How a new version is tried."""

    steps: tuple[float, ...] = (10.0, 50.0, 100.0)
    """Percent of the calls that it gets, one after the other."""
    watch: float = 10.0
    """Seconds for which each of them is watched."""


@contract(name="control", needs=peers, timeout=120.0, idle=_HOUR)
class Control(Protocol):
    """The plan in force of one folder."""

    @query()
    async def plan(self) -> str:
        """The plan in force, as `enfilade plan show --json` writes it."""
        ...

    @command(raises=[Unchanged])
    def scale(self, replicas: Mapping[str, int], dry_run: bool = False) -> Stream[Progress]:
        """So many replicas of each of these processes, which may be named by a service that they have."""
        ...

    @command(raises=[Unchanged])
    def release(
        self, name: str, code: str, said: str, trial: Trial, dry_run: bool = False, without: tuple[str, ...] = ()
    ) -> Stream[Progress]:
        """Another version of a process: its code is in a folder. `said` is what people call it. Processes `without`
        whom it goes may be such as do not answer."""
        ...

    @command(raises=[Unchanged])
    def rollback(self, name: str, dry_run: bool = False, without: tuple[str, ...] = ()) -> Stream[Progress]:
        """The version before."""
        ...


_CONTROL: Final = read(Control)


def address(folder: str) -> str:
    """Where the supervisor that works in a folder is asked."""
    return address_of(folder, ".control")  # no process is named so


@asynccontextmanager
async def serving(control: Control, folder: str) -> AsyncGenerator[None]:
    """Serve it in the folder of a plan."""
    clock = SystemClock()
    site = Site(
        name="control", contracts=(_CONTROL,), handlers={}, clock=clock, recorder=Recorder(clock, enabled=False),
        inside={one.id: hosted(one, control) for one in _CONTROL.operations}, blobs=MemoryBlobs(), unready=tuple[str],
    )  # fmt: skip
    async with listening(rpc().serve(site), address(folder), drain=0.5):
        yield


@asynccontextmanager
async def asking(folder: str) -> AsyncGenerator[Control]:
    """The supervisor that works in a folder."""
    clock = SystemClock()

    def begin(operation: Operation, arguments: dict[str, Any]) -> Call:
        return Call(operation, arguments, clock, clock.monotonic() + operation.timeout)

    async with Link(address(folder), patience=0.0) as link:
        yield handle(_CONTROL, connect(_CONTROL, link), begin)
