"""`enfilade export`: an app's contracts in the words of others."""

from __future__ import annotations

from pathlib import Path

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.target import app_argument, load_app


@click.group()
def export() -> None:
    """Write an app's contracts in other formats."""


@export.command()
@app_argument
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; else it is printed."
)
def openapi(app: str | None, output: Path | None) -> None:
    """Print the OpenAPI 3.1 document of an app.

    It is what the app serves at /openapi.json.
    """
    from enfilade.contract.read import read
    from enfilade.endpoint.rest import Rest
    from enfilade.endpoint.rest.openapi import describe, encoded

    loaded = load_app(app)
    rest = next((one for one in loaded.endpoints if isinstance(one, Rest)), None)
    if rest is None:
        raise Refused(f"{loaded.name} has no REST endpoint.", 'Give it one: App(..., endpoints=[rest("/")])')
    with start_errors():
        contracts = [read(kind) for kind in loaded.services]
    document = describe(loaded.name, contracts, prefix=rest.prefix, scheme=rest.scheme, problem=rest.problem)
    text = encoded(document).decode()
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(f"{text}\n", "utf-8")
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}.", "Say another file.") from error
    click.echo(f"Wrote {output}.")
