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
    from enfilade.plan.nursery import Nursery

_SELF: Final = (sys.executable, "-m", "enfilade.cli")


def run_plan(said: str | None, name: str, host: str | None, port: int | None) -> None:
    """Start, watch and stop the processes of a plan."""
    from enfilade.plan.nursery import Nursery

    with contextlib.closing(Nursery(*loaded.BY_ALL)) as nursery:
        nursery.start()
        from enfilade.cli.serve import listening, url_of  # which takes its time: the nursery does the same meanwhile
        from enfilade.plan import Output, share, sockets
        from enfilade.plan.servers import servers_of

        plan = _plan(said, name, nursery)
        output = Output(sys.stderr, tuple(plan.layout.processes), as_json=plan.json)
        with start_errors():
            run = sockets.run_folder(plan.folder)
            with sockets.alone(run), listening(host or plan.host, plan.port if port is None else port) as listener:
                servers = servers_of(plan)
                share.write(share.Told(plan=plan, over=servers.over(plan.said)), run)
                stages = [servers.programs, *_stages(plan, said, listener)]
                asyncio.run(_supervise(plan, output, stages, url_of(listener), nursery))


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


def _stages(plan: Plan, said: str | None, listener: socket.socket) -> list[list[Program]]:
    """Commands, then services, then more of the same, then the front: each when those before it are ready."""
    from enfilade.plan import Program
    from enfilade.plan.share import code_of
    from enfilade.plan.sockets import passed

    host, port, *_ = listener.getsockname()
    stages: list[list[Program]] = [[], [], [], []]
    for name, process in plan.layout.processes.items():
        if process.command:
            programs = [
                Program(
                    name=name if at == 1 else f"{name}@{at}", command=_found(process.command), ready=process.ready,
                    environment=process.environment, memory=process.memory,
                )
                for at in range(1, process.replicas + 1)
            ]  # fmt: skip
            stages[0] += programs
            continue
        for at in range(1, process.replicas + 1):
            own = name if at == 1 else f"{name}@{at}"
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
            stages[3 if process.front else 1 if at == 1 else 2].append(program)
    return [one for one in stages if one]


def _found(command: tuple[str, ...]) -> tuple[str, ...]:
    """`python` is the one that runs us."""
    return (sys.executable, *command[1:]) if command[0] == "python" else command


async def _supervise(
    plan: Plan, output: Output, stages: Sequence[Sequence[Program]], url: str, nursery: Nursery
) -> None:
    from enfilade.cli.serve import signals
    from enfilade.plan import Patience, Stopped, Supervisor

    await nursery.load(*loaded.by(plan))
    supervisor = Supervisor(output, patience=Patience(stop=plan.drain * 2 + 4), nursery=nursery)
    with signals(supervisor.kill) as stop, contextlib.suppress(Stopped):
        async with supervisor.running(stages, stop):
            click.echo(f"Ready: {url}")
            await stop.wait()
            output.tell("stopping: finishing what runs; Ctrl-C again ends at once")
