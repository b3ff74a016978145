"""Messages and events: what crosses from one service to another. Frozen all the way down, keyword-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, dataclass_transform

import msgspec

from enfilade.hidden import shown, told

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True, kw_only_default=True)
    class _Meta(type):
        pass

    class Message(metaclass=_Meta):
        """A value that services say to one another: frozen, keyword-only, compared by its fields.

        Fields may be whatever JSON Schema can say: `str`, `int` (of 64 bits), `float`, `bool`, `Decimal`, `Money`,
        `datetime` and `time` (with a zone), `date`, `timedelta`, `UUID`, `bytes`, enums, `Literal`, other messages,
        unions of tagged messages, `tuple[T, ...]`, `frozenset[T]` and `Mapping[str, T]`. Never `list`, `dict` or `set`:
        what was said cannot be changed.
        """

        def __init_subclass__(cls, *, tag: str | None = None, tag_field: str | None = None) -> None: ...

    class Event(Message):
        """Something that happened, said once it is stored and heard at least once."""

        def __init_subclass__(
            cls, *, key: str = "", keep: str = "7d", public: bool = False, tag: str | None = None
        ) -> None: ...

else:
    _EVENT_OPTIONS = ("key", "keep", "public")

    class _Meta(msgspec.StructMeta):
        """Sets for every message what msgspec has each class say again."""

        def __new__(mcls, name, bases, namespace, **options):
            own = {option: options.pop(option) for option in _EVENT_OPTIONS if option in options}
            options.setdefault("frozen", True)
            made = super().__new__(mcls, name, bases, namespace, kw_only=True, forbid_unknown_fields=True, **options)
            for option, value in own.items():
                setattr(made, f"event_{option}", value)
            return made

    class Message(msgspec.Struct, metaclass=_Meta):
        def __repr__(self):
            return shown(self, self.__struct_fields__)

        def __rich_repr__(self):
            return told(self, self.__struct_fields__)

    class Event(Message):
        event_key: ClassVar[str] = ""
        event_keep: ClassVar[str] = "7d"
        event_public: ClassVar[bool] = False


UNSET: Final = msgspec.UNSET
"""The default of a `Maybe` field: not said at all, which differs from said to be null."""


def event_key(event: Event) -> str:
    """The value of the event's key, by the dotted path that its class names; `""` where it has none."""
    path: str = getattr(type(event), "event_key", "")
    value: object = event if path else ""
    for name in path.split(".") if path else ():
        value = getattr(value, name)
    return str(value)


def event_name(kind: type[Event]) -> str:
    """Name of an event type on every transport: `orders.OrderPlaced`, the contract's folder and the class."""
    parts = [part for part in kind.__module__.split(".") if part not in ("contract", "service", "__main__")]
    return f"{parts[-1]}.{kind.__name__}" if parts else kind.__name__
