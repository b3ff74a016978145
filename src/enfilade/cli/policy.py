"""`enfilade policy`: what contracts and central policies allow, in Cedar and in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.target import app_argument, app_option, config_of, json_option, load_app

if TYPE_CHECKING:
    from enfilade.contract.operation import Operation
    from enfilade.policy import Explanation
    from enfilade.running import Running


@click.group()
def policy() -> None:
    """Show who may do what, and why."""


@policy.command()
@app_argument
@click.option("--schema", is_flag=True, help="The schema of what policies may ask, instead.")
def export(app: str | None, schema: bool) -> None:
    """Print what contracts say about access, as Cedar policies."""
    from enfilade.policy import policies_of, schema_of

    running = _app(app)
    contracts = [placed.contract for placed in running.placement.services.values()]
    click.echo(schema_of(contracts) if schema else policies_of(contracts, running.callers), nl=False)


@policy.command()
@click.argument("operation")
@click.option("--as", "subject", metavar="SUBJECT", help="Who calls; left out, nobody is signed in.")
@click.option("--scope", "scopes", multiple=True, help="A scope that he has; may be given again.")
@click.option("--role", "roles", multiple=True, help="A role that he has; may be given again.")
@click.option("--tenant", default="", help="The tenant that he belongs to.")
@click.option("--peer", default="", metavar="SERVICE", help="The service that calls, for him.")
@click.option("--address", default="", help="Where the call comes from.")
@click.option("--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="An argument; JSON, or plain text.")
@app_option
@json_option
@click.pass_context
def explain(
    context: click.Context, operation: str, subject: str | None, scopes: Sequence[str], roles: Sequence[str],
    tenant: str, peer: str, address: str, arguments: Sequence[str], app: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Say why a call of OPERATION would be allowed or denied.

    Asks what the guards would ask, in a log-in of this moment, and serves nothing.

    Exit code 0: allowed; 1: denied, or it depends on arguments; 2: the command was not understood.
    """
    from enfilade.call import Call, Principal
    from enfilade.policy import explain as explained

    running = _app(app)
    found = _operation(running, operation)
    caller = None
    if subject is not None:
        now = running.clock.now().timestamp()
        caller = Principal(
            subject=subject, scopes=frozenset(scopes), roles=frozenset(roles), tenant=tenant, authenticated=now
        )
    said = dict(found.defaults) | dict(_argument(found, one) for one in arguments)
    call = Call(found, said, running.clock, 0.0, caller=caller, tenant=tenant, peer=peer, address=address)
    told = explained(call, running.callers, running.policy)
    click.echo(json.dumps(_document(told), indent=2) if as_json else _text(told, found))
    context.exit(0 if told.allowed else 1)


def _app(said: str | None) -> Running:
    from enfilade.app import stations
    from enfilade.running import Running

    loaded = load_app(said)
    with start_errors():
        return Running(loaded, config_of(loaded), stations, background=False)


def _operation(running: Running, id: str) -> Operation:
    operations = [one for placed in running.placement.services.values() for one in placed.contract.operations]
    found = next((one for one in operations if one.id == id), None)
    if found is None:
        known = ", ".join(sorted(one.id for one in operations if one.service == id.partition(".")[0]))
        raise Refused(f"there is no operation {id}.", f"It has: {known}." if known else "List them: enfilade routes")
    return found


def _argument(operation: Operation, said: str) -> tuple[str, Any]:
    import msgspec

    from enfilade.contract.shape import shape

    name, equals, text = said.partition("=")
    parameter = next((one for one in operation.parameters if one.name == name), None)
    if not equals or parameter is None:
        known = ", ".join(one.name for one in operation.parameters) or "none"
        raise click.BadParameter(f"{operation.id} has no parameter {name!r}; it has: {known}", param_hint="--argument")
    kind = shape(parameter.type).type
    try:
        return name, msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as wrong:
        try:
            return name, msgspec.json.decode(text.encode(), type=kind)
        except msgspec.MsgspecError:
            raise click.BadParameter(f"{name}: {wrong}", param_hint="--argument") from wrong


def _document(told: Explanation) -> dict[str, Any]:
    import msgspec

    return msgspec.to_builtins(told)


def _text(told: Explanation, operation: Operation) -> str:
    marks = {True: click.style("yes", fg="green"), False: click.style("no ", fg="red"), None: "?  "}
    route = f"  {operation.method} {operation.path}" if operation.path else ""
    lines = [f"{told.operation}{route}"]
    lines += [f"  {marks[part.met]} {'  ' * part.depth}{part.text}" for part in told.parts]
    if told.policies:
        lines.append(f"  decided by {', '.join(told.policies)}")
    if told.allowed is None:
        lines.append("It depends on arguments: say them by --argument NAME=VALUE.")
    elif told.allowed:
        lines.append("Allowed.")
    else:
        lines.append(f"Denied with {told.status}. It would need {told.lacks}.")
    return "\n".join(lines)
