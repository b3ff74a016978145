"""PostgreSQL: whose rows SQL of a service's own can reach.

It runs as a role that owns nothing: row-level security shows it the rows of the tenant, and of the owner, that two
settings of the transaction name, and it may touch nothing but the tables of the service's rows. A second role reads the
rows of all tenants. Whatever would change settings or role from within a statement is refused (see `words`), and the
function that could is taken away from everybody where whoever migrates may do that. The platform's own statements run
as the role that owns the tables, and say the tenant themselves.
"""

from __future__ import annotations

from enfilade.store.scope import Scope
from enfilade.store.spec import TENANT, Spec
from enfilade.store.sql import quoted

_LONGEST = 63
_NOW = "current_setting('enfilade.tenant')"
_OWNER = "current_setting('enfilade.owner')"
_FUNCTION = "pg_catalog.set_config(text, text, boolean)"


class Roles:
    """The roles of one service's schema."""

    def __init__(self, schema: str) -> None:
        self._schema = quoted(schema)
        name = f"enfilade_{schema}"
        self.one, self.all = (f"{name[: _LONGEST - len(end)]}{end}" for end in ("", "_all"))
        """Of one tenant, and of all of them."""

    def foundation(self) -> list[str]:
        """The statements that make the roles and let them in. They may be run again."""
        made = [
            f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN "
            f"CREATE ROLE {quoted(role)} NOLOGIN; GRANT {quoted(role)} TO CURRENT_USER; END IF; "
            f"EXCEPTION WHEN insufficient_privilege THEN RAISE insufficient_privilege USING MESSAGE = format("
            f"'%s; let an administrator run: CREATE ROLE {role} NOLOGIN; GRANT {role} TO %I', SQLERRM, current_user); "
            f"END $$"
            for role in (self.one, self.all)
        ]
        return [
            "SELECT pg_advisory_xact_lock(7310)",  # roles are the whole server's, and services start together
            *made,
            f"GRANT USAGE ON SCHEMA {self._schema} TO {quoted(self.one)}, {quoted(self.all)}",
            (
                f"DO $$ BEGIN IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
                f"AND has_function_privilege('{self.one}', '{_FUNCTION}', 'EXECUTE') "
                f"THEN REVOKE EXECUTE ON FUNCTION {_FUNCTION} FROM PUBLIC; END IF; END $$"
            ),
        ]

    def guards(self, spec: Spec) -> list[str]:
        """The statements that keep a table's tenants apart. They may be run again."""
        table, one, all_ = quoted(spec.name), quoted(self.one), quoted(self.all)
        mine = "true"
        if spec.owner is not None:
            mine = f"({_OWNER} = '' OR {_OWNER} = '=' || {quoted(spec.owner.name)})"
        same = f"{quoted(TENANT)} = {_NOW} AND {mine}"
        return [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS enfilade_one ON {table}",
            f"DROP POLICY IF EXISTS enfilade_all ON {table}",
            f"CREATE POLICY enfilade_one ON {table} TO {one} USING ({same}) WITH CHECK ({same})",
            f"CREATE POLICY enfilade_all ON {table} FOR SELECT TO {all_} USING ({mine})",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {one}",
            f"GRANT SELECT ON {table} TO {all_}",
        ]

    def enter(self, scope: Scope | None) -> str:
        """What makes the transaction the scope's; None is the platform."""
        if scope is None:
            return "SET LOCAL ROLE NONE"
        role = self.all if scope.tenant is None else self.one
        owner = "" if scope.owner is None else f"={scope.owner}"
        return (
            f"SET LOCAL enfilade.tenant = {_text(scope.tenant or '')}; SET LOCAL enfilade.owner = {_text(owner)}; "
            f"SET LOCAL ROLE {quoted(role)}"
        )


def _text(value: str) -> str:
    """A literal; backslashes say nothing, because `standard_conforming_strings` is on."""
    return "'" + value.replace("'", "''").replace("\0", "") + "'"
