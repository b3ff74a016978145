"""As much of a store as its tables, its database and its boxes know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from enfilade.call import current_or_none
from enfilade.clock import Clock
from enfilade.errors import Misuse
from enfilade.secrets.seal import DataKeys
from enfilade.store.dialect import Dialect
from enfilade.store.engine import Answer, Broken, Engine, Statement, Want
from enfilade.store.own import narrowed
from enfilade.store.scope import refuse_wide, scope
from enfilade.store.sql import Names, Text, fixed, one
from enfilade.store.unit import open_unit, told
from enfilade.trace.recorder import Recorder


class Home:
    """The service's engine, and what is bound by itself in SQL."""

    def __init__(self, service: str, engine: Engine, clock: Clock, secret: bytes, recorder: Recorder) -> None:
        self.service = service
        self.engine = engine
        self.clock = clock
        self.secret = secret
        self.reruns = recorder.metrics.counter(
            "enfilade_unit_reruns_total", "Units of work that met another one and were run again.", service=service
        )
        self.dialect: Dialect = engine.dialect
        self.keys: DataKeys | None = None
        """What `Encrypted` fields are sealed with."""
        self.kept = engine.kept
        self.listeners: list[Callable[[], None]] = []
        """Called after each commit of a unit of work that said something."""

    def always(self, name: str) -> Any:
        """The value of a `:name` that nobody gave."""
        call = current_or_none()
        if name == "now":
            return self.clock.now()
        if name == "me" and call is not None:
            return call.me
        if name == "tenant" and call is not None:
            return call.tenant
        raise Misuse(f"`:{name}` has no value: give it as a keyword, {name}=...")

    def statement(self, sql: str, want: Want, values: Mapping[str, Any], *, quick: bool = False) -> Statement:
        """SQL with `:name`s and their values, in the engine's form."""
        names = Names(values, self.always)
        known = fixed(sql, self.dialect)
        if known is not None:
            bound = [one(names(name), self.dialect, sql, name) for name in known[1]]
            names.check(sql)
            return Statement(known[0], bound, want, quick)
        text = Text(self.dialect)
        text.add_with(sql, (), names, marks=False)
        names.check(sql)
        return Statement(str(text), text.values, want, quick)

    def own(self, said: Statement) -> Statement:
        """A statement with words of the service's own, kept to whose rows the call is about.

        Raises Misuse where it is nothing that a service may say, or may not say here.
        """
        whose = scope()
        wide, owned = whose.tenant is None, whose.owner is not None
        known = narrowed(said.sql, self.dialect, self.kept.specs, wide=wide, owned=owned)
        if known.writes:
            refuse_wide(f"`{said.sql}`")
            unit = open_unit(self)
            if unit is None or not unit.writes:
                raise told(Broken("write", ""), f"`{said.sql}`")
            unit.write("SQL that changes rows")
        return said._replace(sql=known.sql, scope=whose, own=known)

    def token(self) -> str:
        """What tells one lease from another."""
        return f"{self.clock.random.getrandbits(64):016x}"

    def tell(self) -> None:
        """Something was said and is committed."""
        for listener in self.listeners:
            listener()

    async def read(self, statement: Statement, what: str) -> Answer:
        """Read in the open unit of work, or else what is committed."""
        unit = open_unit(self)
        try:
            if unit is None:
                return await self.engine.read(statement)
            (answer,) = await unit.run((statement,))
        except Broken as error:
            raise told(error, what) from error
        return answer
