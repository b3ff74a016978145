"""`enfilade audit`: whether what was written about who did what is still whole."""

from __future__ import annotations

import json
from pathlib import Path

import click

from enfilade.cli.refused import start_errors
from enfilade.cli.target import json_option


@click.group()
def audit() -> None:
    """Prove the files of the audit."""


@audit.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--from", "begin", metavar="FILE", default="", help="The oldest file that was not put away.")
@click.option("--seal", default="", help="The seal that the log named when a process stopped: its lines must be there.")
@json_option
@click.pass_context
def verify(context: click.Context, folder: Path | None, begin: str, seal: str, as_json: bool) -> None:
    """Find lines and files that were changed, moved or taken out.

    FOLDER is where the files are, by default that of the app in the working folder, whose secret they are proved with.

    Exit code 0: all of it is whole; 1: somebody was at it, or there is nothing; 2: the command was not understood.
    """
    from enfilade.config import load
    from enfilade.guard import prove
    from enfilade.supplies import secret_of

    with start_errors():
        config = load()
        secret = secret_of(config)
    folder = folder or Path(config.folder) / "audit"
    proof = prove(folder, secret, begin=begin, end=seal)
    if as_json:
        findings = [{"where": one.where, "rule": one.rule, "what": one.what} for one in proof.findings]
        told = {"files": proof.files, "lines": proof.lines, "findings": findings, "notes": list(proof.notes)}
        click.echo(json.dumps(told, indent=2))
    else:
        for one in proof.findings:
            click.echo(f"{one.where}: {click.style(one.rule, fg='red')}: {one.what}\n    {one.remedy}")
        for note in proof.notes:
            click.echo(note)
        whole = "Whole" if not proof.findings else f"{len(proof.findings)} findings"
        click.echo(f"{whole}: {proof.lines} lines in {proof.files} files." if proof.files else f"No audit in {folder}.")
    context.exit(1 if proof.findings or not proof.files else 0)
