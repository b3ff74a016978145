"""`enfilade trace`: what happened, from the file of recent traces."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.target import json_option


@click.command()
@click.argument("id", required=False)
@json_option
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many traces to list.")
def trace(id: str | None, as_json: bool, limit: int) -> None:
    """List recent traces, or show one as a tree.

    ID may be the beginning of one. It is in each answer (`Trace-Id`), in each problem document and in each line of
    the log.
    """
    from enfilade.config import load
    from enfilade.trace.file import read_traces
    from enfilade.trace.traces import document
    from enfilade.trace.tree import listing, tree

    with start_errors():
        folder = Path(load().folder) / "traces"
    traces = read_traces(folder)
    color = sys.stdout.isatty()
    if id is None:
        shown = traces[-limit:]
        empty = f"There are no traces in {folder}: run the app and call it."
        click.echo(json.dumps([document(one) for one in shown]) if as_json else listing(shown, color=color) or empty)
        return
    found = [one for one in traces if one.id.startswith(id.lower())]
    if len(found) != 1:
        what = f"{len(found) or 'no'} traces in {folder} begin with {id}."
        raise Refused(what, "Say more of the id." if found else "List those that there are: enfilade trace")
    click.echo(json.dumps(document(found[0])) if as_json else tree(found[0], color=color))
