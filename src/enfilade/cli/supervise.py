"""`enfilade run --plan NAME`: all processes of a plan, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import click

from enfilade.cli import loaded
from enfilade.cli.refused import Refused, start_errors

if TYPE_CHECKING:
    from enfilade.plan import Output, Plan, Program
    from enfilade.plan.force import Force
    from enfilade.plan.nursery import Nursery
    from enfilade.plan.steer import Programs

_SELF: Final = (sys.executable, "-m", "enfilade.cli")
_COUNTED: Final = "rates below an hour, wrong logins and calls at once are counted by each of them"


def run_plan(
    said: str | None, name: str, host: str | None, port: int | None, only: Sequence[str] = (), *, workers: int = 0
) -> None:
    """Start, watch and stop the processes of a plan: those of this host, or `only` these; `workers` of the one at the
    public address, if it is said."""
    from enfilade.plan.nursery import Nursery

    with contextlib.closing(Nursery(*loaded.BY_ALL)) as nursery:
        nursery.start()
        from enfilade.plan import Output, checkout, sockets  # which takes its time: the nursery does the same meanwhile
        from enfilade.plan.force import Force
        from enfilade.plan.servers import Servers, servers_of

        plan = _of_host(_manned(_plan(said, name, nursery), workers), only)
        asyncio.run(nursery.load(*loaded.by(plan)))  # which it does while servers are made and started
        output = Output(sys.stderr, tuple(plan.layout.processes), as_json=plan.json)
        with start_errors():
            run = sockets.run_folder(plan.folder)
            with sockets.alone(run), _address(plan, host, port) as address:
                servers = Servers() if only else servers_of(plan)
                force = Force(plan, servers.over(plan.said), run, output, checkout.clean())
                for one, process in force.plan.layout.processes.items():
                    if process.replicas > 1 and not process.command:
                        output.tell(f"{one} has {process.replicas} replicas: {_COUNTED}")

                def programs(plan: Plan, name: str) -> list[Program]:
                    return _programs(plan, name, said, address)

                asyncio.run(_supervise(force, output, said, servers.programs, programs, address.url, nursery, run))


class _Address(NamedTuple):
    """Where the app is reached."""

    host: str
    port: int
    url: str
    lanes: Sequence[socket.socket]
    """The listeners, which the front is given; none where Envoy opens the port by itself."""


@contextlib.contextmanager
def _address(plan: Plan, host: str | None, port: int | None) -> Generator[_Address]:
    """The public address, which nobody else has meanwhile. Raises Refused, also where its Envoy is missing."""
    from enfilade.cli.edge import binary
    from enfilade.cli.lanes import lanes
    from enfilade.cli.serve import listening, url_of
    from enfilade.plan import hosts
    from enfilade.plan.sockets import reserved

    edge = plan.layout.edge
    if not hosts.here(plan, plan.layout.front):
        yield _Address(plan.host, plan.port, ", ".join(plan.only), ())
        return
    if edge.run:
        binary(edge.run)
    with listening(host or plan.host, plan.port if port is None else port) as listener:
        bound, taken, *_ = listener.getsockname()
        url = url_of(listener)
        if not edge.run:
            with lanes(listener) as opened:
                yield _Address(bound, taken, url, opened)
            return
        with reserved(listener):
            yield _Address(bound, taken, url.replace("http:", "https:") if edge.certificate else url, ())


def _plan(said: str | None, name: str, nursery: Nursery) -> Plan:
    """Asked for in another process, so that this one stays small and has nothing of the app."""
    import msgspec

    from enfilade.plan import Plan
    from enfilade.plan.nursery import forks

    # The app's modules may write what they like: the plan is the last line.
    command = [*_SELF, "plan", "show", name, "--json", *(["--app", said] if said else [])]
    if forks(command, {}):
        code, wrote = asyncio.run(nursery.ask(command))
    else:
        asked = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603  (ourselves)
        code, wrote = asked.returncode, asked.stdout
    if code:
        sys.exit(code)
    try:
        return msgspec.json.decode(wrote.splitlines()[-1], type=Plan)
    except (msgspec.MsgspecError, IndexError) as wrong:
        raise Refused(f"the plan {name} cannot be read: {wrong}", "Look at: enfilade plan show") from wrong


def _manned(plan: Plan, workers: int) -> Plan:
    """So many of the process at the public address. Raises Refused where they would not share what they keep."""
    from enfilade.plan.change import scaled

    if not workers:
        return plan
    front = plan.layout.front
    mine = plan.layout.processes[front].services
    if workers > 1 and (kept := [one for one in mine if plan.data.get(one) == "sqlite::memory:"]):
        what = f"{', '.join(kept)} would keep rows in the memory of one worker, where the others do not find them."
        raise Refused(what, 'Say a place that they share, in enfilade.toml: data = "sqlite:data/{service}.db".')
    return scaled(plan, front, workers)


def _of_host(plan: Plan, only: Sequence[str]) -> Plan:
    """The plan, of which only these processes run here. Raises Refused."""
    import msgspec

    names = tuple(one for said in only for one in said.split(",") if one)
    if unknown := [name for name in names if name not in plan.layout.processes]:
        known = ", ".join(plan.layout.processes)
        raise Refused(f"the plan {plan.layout.name} has no process {unknown[0]}.", f"It has: {known}.")
    return msgspec.structs.replace(cast("Any", plan), only=names)


def _stages(plan: Plan, programs: Programs) -> list[list[Program]]:
    """Commands, then services, then more of the same, then the front, then the edge: each when those before it are
    ready."""
    from enfilade.plan.edge import EDGE

    stages: list[list[Program]] = [[], [], [], [], []]
    edge = EDGE if plan.layout.edge.run else ""
    for name, process in plan.layout.processes.items():
        for at, program in enumerate(programs(plan, name)):
            last = 4 if name == edge else 3 if process.front else 0
            stages[0 if process.command else last or (2 if at else 1)].append(program)
    return [one for one in stages if one]


def _programs(plan: Plan, name: str, said: str | None, address: _Address) -> list[Program]:
    """The replicas of a process, where it runs on this host."""
    from enfilade.plan import Program, hosts
    from enfilade.plan.share import code_of
    from enfilade.plan.sockets import passed

    if not hosts.here(plan, name):
        return []
    process = plan.layout.processes[name]
    ports = address.lanes if process.front else ()
    made: list[Program] = []
    for at in range(1, process.replicas + 1):
        own = name if at == 1 else f"{name}@{at}"
        if process.command:
            program = Program(
                name=own, command=_found(process.command), ready=process.ready, environment=process.environment,
                memory=process.memory,
            )  # fmt: skip
        else:
            program = Program(
                name=own,
                command=[*_SELF, "run", *([said] if said else []), "--plan", plan.layout.name, "--process", own],
                ours=True,
                environment={
                    **process.environment, **code_of(plan, name),
                    "ENFILADE_HOST": address.host, "ENFILADE_PORT": str(address.port),
                    **(passed(ports) if ports else {}),
                },
                ports=ports,
                memory=process.memory,
            )  # fmt: skip
        made.append(program)
    return made


def _found(command: tuple[str, ...]) -> tuple[str, ...]:
    """`python` is the one that runs us."""
    return (sys.executable, *command[1:]) if command[0] == "python" else command


async def _supervise(
    force: Force,
    output: Output,
    said: str | None,
    servers: Sequence[Program],
    programs: Programs,
    url: str,
    nursery: Nursery,
    run: Path,
) -> None:
    from enfilade.cli.certify import certified
    from enfilade.cli.serve import signals
    from enfilade.plan import Patience, Stopped, Supervisor, control
    from enfilade.plan.steer import Steering

    plan = force.plan
    patience = Patience(stop=plan.drain * 2 + 4, hung=plan.layout.hung)
    supervisor = Supervisor(output, patience=patience, nursery=nursery)
    with signals(supervisor.kill) as stop, contextlib.suppress(Stopped):
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(certified(force.base, said, run))
            await stack.enter_async_context(supervisor.running([servers, *_stages(plan, programs)], stop))
            steering = Steering(force, supervisor, programs, output, said)
            await stack.enter_async_context(steering.working())
            await stack.enter_async_context(control.serving(steering, plan.folder))
            click.echo(f"Ready: {url}")
            await stop.wait()
            output.tell("stopping: finishing what runs; Ctrl-C again ends at once")
