"""What somebody called while he used the app, and the ids of what became his by it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from enfilade.call import Call, Handler
from enfilade.contract.codec import Codec, codec
from enfilade.contract.operation import Operation

_MADE: Final = re.compile(r"[a-z][a-z0-9]*_[0-9a-z]{12,}")
"""How `new_id` writes."""


@dataclass(frozen=True)
class Told:
    """One call of the story, that was answered."""

    operation: Operation
    arguments: Mapping[str, Any]
    result: str
    """In JSON."""


@dataclass
class Telling:
    """A station that notes what one person calls from outside, while he tells his story."""

    subject: str
    calls: list[Told] = field(default_factory=list[Told])

    def station(self, operation: Operation, handler: Handler) -> Handler:
        if operation.style not in ("value", "nothing", "page"):
            return handler  # a stream is told once

        async def noted(call: Call) -> Any:
            arguments = dict(call.arguments)
            reply = await handler(call)
            self.calls.append(Told(operation, arguments, codec(operation.reply).encode(reply).decode()))
            return reply

        def telling(call: Call) -> Awaitable[Any]:
            his = not call.peer and call.caller is not None and call.caller.subject == self.subject
            return noted(call) if his else handler(call)

        return telling


def ids_in(text: str) -> frozenset[str]:
    """The ids in a JSON text: strings that `new_id` made, and those of members called `id` or `..._id`."""
    return frozenset(_ids(msgspec.json.decode(text), "")) if text else frozenset()


def refers(one: Told, ids: frozenset[str]) -> bool:
    """Whether its arguments name one of the ids."""
    return bool(named(one, ids))


def named(one: Told, ids: frozenset[str]) -> frozenset[str]:
    """Those of the ids that its arguments name."""
    return ids & {id for value in one.arguments.values() for id in _strings(msgspec.to_builtins(value))}


def instead(one: Told, ids: Mapping[str, str]) -> Told:
    """The same call with other ids in its arguments."""
    types = {parameter.name: codec(parameter.type) for parameter in one.operation.parameters}
    arguments = {name: _exchanged(types[name], value, ids) for name, value in one.arguments.items()}
    return replace(one, arguments=arguments)


def made_up(id: str) -> str:
    """An id that looks like this one, and that nobody has: its letters and digits backwards, its prefix and its
    punctuation in their places."""
    prefix = id[: id.index("_") + 1] if _MADE.fullmatch(id) else ""
    backwards = [one for one in reversed(id[len(prefix) :]) if one.isalnum()]
    return prefix + "".join(backwards.pop(0) if one.isalnum() else one for one in id[len(prefix) :])


def _exchanged(kind: Codec[Any], value: Any, ids: Mapping[str, str]) -> Any:
    said = msgspec.json.decode(kind.encode(value))
    return kind.decode(msgspec.json.encode(_swapped(said, ids)))


def _swapped(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return ids.get(value, value)
    if isinstance(value, dict):
        return {key: _swapped(inner, ids) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_swapped(inner, ids) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _ids(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, str):
        if value and (name == "id" or name.endswith(("_id", "Id")) or _MADE.fullmatch(value)):
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _ids(inner, str(key))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _ids(inner, name)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _strings(inner)
