"""Rows: what a service stores. Private to it, apart from the messages that it says to others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, dataclass_transform

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Misuse
from enfilade.hidden import shown, told

M = TypeVar("M", bound=Message)

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True, kw_only_default=True)
    class _Meta(type):
        pass

    class Row(metaclass=_Meta):
        """One row of a table: frozen, keyword-only, compared by its fields.

            class AccountRow(Row, unique=[("bank", "number")], check=["held_minor >= 0"]):
                id: Key[str]
                bank: str
                number: str
                owner: Owned[str]
                held: Money                 # two columns: held_minor, held_currency
                version: Version = 0

        The table is the class's name in snake case without `Row`; two `Key` fields make a key of two columns. Values
        that are messages flatten to `<field>_<sub>` columns; tuples, mappings and unions of messages are one column
        of JSON. `unique` and `index` name columns together; one field alone says `Unique[...]` or `Index[...]`.
        `check` is SQL that holds for every row.
        """

        def __init_subclass__(
            cls,
            *,
            unique: Sequence[tuple[str, ...]] = (),
            index: Sequence[tuple[str, ...]] = (),
            check: Sequence[str] = (),
        ) -> None: ...

        def replace(self, **changes: Any) -> Self:
            """The same row with other values: `row.replace(state="paid")`. Stored by `put`."""
            ...

        def into(self, kind: type[M], **extra: Any) -> M:
            """A message made of the row's fields by their names, and of `extra`: `row.into(Order, customer=name)`."""
            ...

else:
    _OPTIONS = ("unique", "index", "check")

    class _Meta(msgspec.StructMeta):
        """Sets for every row what msgspec has each class say again, and keeps what the class says to the store."""

        def __new__(mcls, name, bases, namespace, **options):
            own = {option: tuple(options.pop(option)) for option in _OPTIONS if option in options}
            made = super().__new__(mcls, name, bases, namespace, kw_only=True, frozen=True, **options)
            for option, value in own.items():
                setattr(made, f"row_{option}", value)
            return made

    class Row(msgspec.Struct, metaclass=_Meta):
        row_unique: ClassVar[tuple] = ()
        row_index: ClassVar[tuple] = ()
        row_check: ClassVar[tuple] = ()

        def __repr__(self):
            return shown(self, self.__struct_fields__)

        def __rich_repr__(self):
            return told(self, self.__struct_fields__)

        def replace(self, **changes):
            return msgspec.structs.replace(self, **changes)

        def into(self, kind, **extra):
            fields = {name: getattr(self, name) for name in _shared(type(self), kind)}
            try:
                return kind(**(fields | extra))
            except TypeError as error:
                raise Misuse(f"{type(self).__name__}.into({kind.__name__}): {error}; give it as a keyword") from None


@lru_cache(4096)
def _shared(row: Callable[..., Any], kind: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the fields that both have."""
    theirs = set(kind.__struct_fields__)  # pyright: ignore[reportFunctionMemberAccess]  (msgspec's own attribute)
    return tuple(name for name in row.__struct_fields__ if name in theirs)  # pyright: ignore[reportFunctionMemberAccess]
