"""`enfilade routes`: the addresses of an app."""

from __future__ import annotations

import json

import click

from enfilade.cli.refused import start_errors
from enfilade.cli.table import table
from enfilade.cli.target import app_argument, json_option, load_app


@click.command()
@app_argument
@json_option
def routes(app: str | None, as_json: bool) -> None:
    """List the addresses of an app.

    Method, path, operation, who may call it and how often.
    """
    from enfilade.contract.read import read

    loaded = load_app(app)
    with start_errors():
        operations = [operation for kind in loaded.services for operation in read(kind).operations if operation.path]
    found = [
        {
            "method": operation.method,
            "path": operation.path,
            "operation": operation.id,
            "needs": str(operation.needs),
            "rate": ", ".join(f"{rate.limit} per {rate.per}" for rate in operation.rates),
        }
        for operation in sorted(operations, key=lambda one: (one.path, one.method))
    ]
    click.echo(json.dumps(found, indent=2) if as_json else table(found))
