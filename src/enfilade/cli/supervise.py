"""`enfilade run --plan NAME`: all processes of a plan, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from enfilade.cli import loaded
from enfilade.cli.refused import Refused, start_errors

if TYPE_CHECKING:
    from enfilade.plan import Output, Plan, Program
    from enfilade.plan.force import Force
    from enfilade.plan.nursery import Nursery
    from enfilade.plan.steer import Programs

_SELF: Final = (sys.executable, "-m", "enfilade.cli")


def run_plan(said: str | None, name: str, host: str | None, port: int | None) -> None:
    """Start, watch and stop the processes of a plan."""
    from enfilade.plan.nursery import Nursery

    with contextlib.closing(Nursery(*loaded.BY_ALL)) as nursery:
        nursery.start()
        from enfilade.cli.serve import listening, url_of  # which takes its time: the nursery does the same meanwhile
        from enfilade.plan import Output, sockets
        from enfilade.plan.force import Force
        from enfilade.plan.servers import servers_of

        plan = _plan(said, name, nursery)
        output = Output(sys.stderr, tuple(plan.layout.processes), as_json=plan.json)
        with start_errors():
            run = sockets.run_folder(plan.folder)
            with sockets.alone(run), listening(host or plan.host, plan.port if port is None else port) as listener:
                servers = servers_of(plan)
                force = Force(plan, servers.over(plan.said), run, output)

                def programs(plan: Plan, name: str) -> list[Program]:
                    return _programs(plan, name, said, listener)

                asyncio.run(_supervise(force, output, servers.programs, programs, url_of(listener), nursery))


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


def _stages(plan: Plan, programs: Programs) -> list[list[Program]]:
    """Commands, then services, then more of the same, then the front: each when those before it are ready."""
    stages: list[list[Program]] = [[], [], [], []]
    for name, process in plan.layout.processes.items():
        for at, program in enumerate(programs(plan, name)):
            stages[0 if process.command else 3 if process.front else 2 if at else 1].append(program)
    return [one for one in stages if one]


def _programs(plan: Plan, name: str, said: str | None, listener: socket.socket) -> list[Program]:
    """The replicas of a process."""
    from enfilade.plan import Program
    from enfilade.plan.share import code_of
    from enfilade.plan.sockets import passed

    host, port, *_ = listener.getsockname()
    process = plan.layout.processes[name]
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
                    **process.environment, **code_of(plan, name), "ENFILADE_HOST": host, "ENFILADE_PORT": str(port),
                    **(passed(listener) if process.front else {}),
                },
                port=listener if process.front else None,
                memory=process.memory,
            )  # fmt: skip
        made.append(program)
    return made


def _found(command: tuple[str, ...]) -> tuple[str, ...]:
    """`python` is the one that runs us."""
    return (sys.executable, *command[1:]) if command[0] == "python" else command


async def _supervise(
    force: Force, output: Output, servers: Sequence[Program], programs: Programs, url: str, nursery: Nursery
) -> None:
    from enfilade.cli.serve import signals
    from enfilade.plan import Patience, Stopped, Supervisor, control
    from enfilade.plan.steer import Steering

    plan = force.plan
    await nursery.load(*loaded.by(plan))
    supervisor = Supervisor(output, patience=Patience(stop=plan.drain * 2 + 4), nursery=nursery)
    with signals(supervisor.kill) as stop, contextlib.suppress(Stopped):
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(supervisor.running([servers, *_stages(plan, programs)], stop))
            steering = Steering(force, supervisor, programs, output)
            await stack.enter_async_context(steering.working())
            await stack.enter_async_context(control.serving(steering, plan.folder))
            click.echo(f"Ready: {url}")
            await stop.wait()
            output.tell("stopping: finishing what runs; Ctrl-C again ends at once")
