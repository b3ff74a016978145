"""`enfilade run`: serve an app until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from enfilade.cli.refused import start_errors
from enfilade.cli.target import app_argument, config_of, load_app

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.config import Config


@click.command()
@app_argument
@click.option("--host", help="Address to listen on; by default that of enfilade.toml, 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on; by default that of enfilade.toml, 8080. 0: any."
)
@click.option("--reload", is_flag=True, help="Start again when a .py or .toml file changes.")
@click.option("--plan", metavar="NAME", help="Serve it as the processes of this plan; see `enfilade plan`.")
@click.option("--only", metavar="NAME", multiple=True, help="Of a plan, run this process only; several times for more.")
@click.option("--workers", type=click.IntRange(1), help="So many of the process at the public address.")
@click.option("--process", metavar="NAME", help="Of a plan, be this process: for its supervisor.")
def run(
    app: str | None,
    host: str | None,
    port: int | None,
    reload: bool,
    plan: str | None,
    only: tuple[str, ...],
    workers: int | None,
    process: str | None,
) -> None:
    """Serve an app until Ctrl-C.

    Several workers are the plan `one` with so many replicas, under a supervisor.
    """
    if only and not plan:
        raise click.UsageError("--only is for processes of a plan: say --plan, too.")
    if (plan or workers) and reload:
        raise click.UsageError("--reload is for one process, without --plan and --workers.")
    if process:
        from enfilade.cli.process import run_process

        run_process(app, process)
        return
    if plan or workers:
        from enfilade.cli.supervise import run_plan

        run_plan(app, plan or "one", host, port, only, workers=workers or 0)
        return
    if reload:
        from enfilade.cli.reload import supervise

        said = [*([app] if app else []), *(["--host", host] if host else [])]
        supervise([*said, *(["--port", str(port)] if port is not None else [])])
        return
    loaded = load_app(app)
    config = config_of(loaded)
    from enfilade.cli.serve import run_until_stopped
    from enfilade.trace import log

    log.configure(json=(config.log or ("console" if config.development else "json")) == "json")
    with start_errors():
        run_until_stopped(_serve(loaded, config, host or config.host, config.port if port is None else port))


async def _serve(app: App, config: Config, host: str, port: int) -> None:
    from enfilade.cli.serve import serving, signals

    with signals() as stop:
        async with serving(app, host, port, drain=config.drain) as url:
            click.echo(f"Ready: {url}")
            await stop.wait()
            click.echo("Stopping: finishing what runs; Ctrl-C again ends at once.", err=True)
