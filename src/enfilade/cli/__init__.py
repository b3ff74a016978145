"""The command line: one file a command. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

import click

from enfilade.cli.audit import audit
from enfilade.cli.check import check
from enfilade.cli.clients import clients
from enfilade.cli.dead_letters import dead_letters
from enfilade.cli.export import export
from enfilade.cli.keys import keys
from enfilade.cli.migrate import migrate
from enfilade.cli.new import new
from enfilade.cli.plan import plan
from enfilade.cli.policy import policy
from enfilade.cli.release import release
from enfilade.cli.rollback import rollback
from enfilade.cli.routes import routes
from enfilade.cli.run import run
from enfilade.cli.scale import scale
from enfilade.cli.secrets import secrets
from enfilade.cli.test import test
from enfilade.cli.token import token
from enfilade.cli.trace import trace
from enfilade.cli.users import users
from enfilade.cli.variants import variants


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="enfilade")
def main() -> None:
    """Typed Python services with explicit contracts.

    APP is where an app is found, such as shop.app:app. Left out, it is `app` in `[tool.enfilade]` of pyproject.toml, or
    else the one app.py in the working folder or right below it.
    """


for command in (
    new, run, test, plan, variants, scale, release, rollback, check, routes, export, token, migrate, trace,
    dead_letters, secrets, audit, policy, users, clients, keys,
):  # fmt: skip
    main.add_command(command)
