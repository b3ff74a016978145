"""Columns that are kept sealed: `Encrypted` fields are bytes in the database that only their own row can be read from.

Each value is sealed for one place: the tenant, the service, the table, the column and the key of its row. The tenant
stands before it, so that whoever reads the rows of all tenants can open it; whoever reads those of one opens his only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from enfilade.call import current_or_none
from enfilade.errors import Misuse
from enfilade.secrets.seal import DATA_KEY, DataKeys, Unsealable
from enfilade.store.engine import Statement
from enfilade.store.home import Home
from enfilade.store.spec import Spec
from enfilade.store.sql import quoted

_BATCH: Final = 1000
"""Values that are wrapped anew at a time."""


class Sealed:
    """The sealed columns of one table: between its rows and what the driver gives and takes."""

    def __init__(self, home: Home, spec: Spec) -> None:
        self._home = home
        self._table = spec.name
        self.columns = tuple(one for one in spec.columns if one.sealed)
        self._at = tuple((at, one.name) for at, one in enumerate(spec.columns) if one.sealed)
        self._key = tuple(spec.columns.index(one) for one in spec.key)
        self._keyed = tuple(one.name for one in spec.key)
        self._store = self.store = spec.layout.storer(home.dialect)
        self._load = self.load = spec.layout.loader(home.dialect)
        """Between a row and what the driver takes and gives."""
        if self.columns:
            self.store, self.load = self._sealing, self._opening
        names = "|".join(re.escape(one.name) for one in self.columns)
        self._named = re.compile(rf"\b({names})\b", re.IGNORECASE) if names else None

    def _sealing(self, row: Any) -> list[Any]:
        values = self._store(row)
        for at, name in self._at:
            if values[at] is not None:
                values[at] = self._seal(name, values, values[at])
        return values

    def _opening(self, raw: Sequence[Any]) -> Any:
        """Raises Unsealable for what was changed, moved, or written past the platform."""
        values = list(raw)
        for at, name in self._at:
            if values[at] is not None:
                values[at] = self._open(name, values, bytes(values[at]))
        return self._load(values)

    def refuse(self, sql: str) -> None:
        """Raises Misuse for a condition or an order by what nobody can compare."""
        found = self._named.search(sql) if self._named is not None else None
        if found is not None:
            raise Misuse(
                f"`{sql}`: {self._table}.{found[0]} is encrypted, and can be read but not searched or sorted by. "
                f"Keep what you search for in a column of its own, such as a keyed hash."
            )

    async def rewrap(self, name: str) -> int:
        """Wrap by the newest data key what older ones wrap in a column, of all tenants. How many values that were.

        Values are read in the order of their bytes, no two of which are alike; one that a call changes meanwhile is
        left as the call stores it.
        """
        home, column = self._home, quoted(name)
        table = f"{'main.' if home.dialect.name == 'sqlite' else ''}{quoted(self._table)}"
        keys = [quoted(one) for one in self._keyed]
        read = (
            f"SELECT {', '.join(keys)}, {column} FROM {table} WHERE {column} > :after ORDER BY {column} LIMIT {_BATCH}"
        )
        same = " AND ".join(f"{one} = :k{at}" for at, one in enumerate(keys))
        write = f"UPDATE {table} SET {column} = :new WHERE {same} AND {column} = :old"
        after, done = b"", 0
        while True:
            rows = (await home.engine.read(home.statement(read, "rows", {"after": after}))).rows
            changes: list[Statement] = []
            for *key, old in rows:
                new = self._rewrapped(name, key, bytes(old))
                if new is not None:
                    values = {"new": new, "old": bytes(old), **{f"k{at}": one for at, one in enumerate(key)}}
                    changes.append(home.statement(write, "count", values))
            done += sum(await home.engine.write(tuple(changes))) if changes else 0
            if len(rows) < _BATCH:
                return done
            after = bytes(rows[-1][-1])

    def _rewrapped(self, name: str, key: Sequence[Any], stored: bytes) -> bytes | None:
        whose, sealed = _parted(stored)
        new = self._keys.rewrap(sealed, self._about(whose, name, key))
        return None if new is None else _joined(whose, new)

    @property
    def _keys(self) -> DataKeys:
        if self._home.keys is None:
            raise Misuse(f"{self._table} has encrypted columns, and the store was opened without {DATA_KEY}")
        return self._home.keys

    def _seal(self, name: str, values: Sequence[Any], value: bytes) -> bytes:
        whose = _tenant() or ""
        return _joined(whose, self._keys.seal(value, self._about(whose, name, [values[at] for at in self._key])))

    def _open(self, name: str, values: Sequence[Any], stored: bytes) -> bytes:
        whose, sealed = _parted(stored)
        if _tenant() not in (whose, None):
            raise Unsealable(f"{self._table}.{name} was sealed for another tenant")
        return self._keys.open(sealed, self._about(whose, name, [values[at] for at in self._key]))

    def _about(self, whose: str, name: str, key: Sequence[Any]) -> bytes:
        return msgspec.msgpack.encode((whose, self._home.service, self._table, name, *key))


def _tenant() -> str | None:
    """Of the call that is served; None where it is of all of them."""
    call = current_or_none()
    return "" if call is None else None if call.wide else call.tenant


def _joined(whose: str, sealed: bytes) -> bytes:
    name = whose.encode()
    return len(name).to_bytes(2) + name + sealed


def _parted(stored: bytes) -> tuple[str, bytes]:
    end = 2 + int.from_bytes(stored[:2])
    try:
        return stored[2:end].decode(), stored[end:]
    except UnicodeDecodeError:
        raise Unsealable("this was not sealed by a data key") from None
