"""Whether two readings of a contract get on: what one writes, the other must be able to read.

Fingerprints tell whether two are the same. Where they are not, each tells the other what it has, and the difference is
looked for here. What a reader does not know it passes over, and what it can do without may be missing; so an operation
may get optional parameters, results more members, and either side may be the newer one. Constraints are no part of it:
a value that breaks one is refused when it comes. They are of an event: nobody is there any more to hear of a refusal.
"""
# What was read from JSON is of unknown type until it has been looked at.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from enfilade.contract.fingerprint import tell
from enfilade.contract.message import Event, event_name
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.signature import is_stream

Told: TypeAlias = dict[str, Any]
"""An operation or an event in plain lists and texts, as one process tells it to another."""
Talk: TypeAlias = dict[str, dict[str, Told]]
"""What a service `says` and `hears`: by these words and by the names of events, what they are."""

_REQUIRED: Final = "NODEFAULT"
_LEAST: Final = ("ge", "gt", "min_length")
_MOST: Final = ("le", "lt", "max_length")
_WIDER: Final = {("int", "float"), ("enum", "str"), ("literal", "str"), ("enum", "literal"), ("literal", "enum")}


def told(operation: Operation) -> Told:
    """All that a peer relies on, ready for JSON."""
    return {
        "fingerprint": operation.fingerprint,
        "style": operation.style,
        "names": operation.names,
        "takes": [one.name for one in operation.parameters if is_stream(one.type)],
        "request": tell(operation.request),
        "result": tell(operation.reply),
        "problems": {
            one.type: {name: tell(kind) for name, kind in one.member_types().items()} for one in operation.raises
        },
    }


def differences(caller: Told, callee: Told) -> tuple[str, ...]:
    """Why a caller that has the first cannot use what the second serves; empty where it can."""
    found = [
        f"{what} is {callee[name]!r} there and {caller[name]!r} here"
        for name, what in (("style", "its style"), ("names", "its spelling"), ("takes", "its stream"))
        if caller[name] != callee[name]
    ]
    if found:
        return tuple(found)
    asked = _Comparison(caller["request"], callee["request"], "the parameter ", unknown="does not exist there")
    found += asked.found()
    found += _Comparison(callee["result"], caller["result"], "the result's ").found()
    for type, members in caller["problems"].items():
        for name, kind in members.items():
            there = callee["problems"].get(type)
            if there is not None and name not in there:
                found.append(f"the member {name} of {type} is not there")
            elif there is not None:
                found += _Comparison(there[name], kind, f"the member {name} of {type} ").found()
    return tuple(dict.fromkeys(found))


def asked(contract: Contract) -> dict[str, Told]:
    """All operations of a contract, by their names: what peers rely on, and what those do who ask by its routes."""
    return {
        one.name: {
            **told(one),
            "route": f"{one.method} {one.path}" if one.method else "",
            "places": {parameter.name: f"{parameter.wire} in the {parameter.place}" for parameter in one.parameters},
        }
        for one in contract.operations
    }


def breaks(callers: Mapping[str, Told], callees: Mapping[str, Told], *, outside: bool = False) -> tuple[str, ...]:
    """Why those who have the first contract cannot use the second, by operation; as `asked` tells both.

    `outside` is for those who ask by routes: what has none is nothing to them.
    """
    found: list[str] = []
    for name, caller in callers.items():
        if outside and not caller["route"]:
            continue
        callee = callees.get(name)
        if callee is None:
            found.append(f"{name} is not there")
            continue
        found += [f"{name}: {one}" for one in differences(caller, callee)]
        if outside and caller["route"] != callee["route"]:
            found.append(f"{name}: {caller['route']} is {callee['route'] or 'no route'} there")
        elif outside:
            moved = [one for one, at in caller["places"].items() if callee["places"].get(one, at) != at]
            found += [f"{name}: {caller['places'][one]} is {callee['places'][one]} there" for one in moved]
    return tuple(found)


def talk(says: Iterable[type[Event]], hears: Iterable[type[Event]]) -> Talk:
    """What a service says and hears."""
    said = {"says": says, "hears": hears}
    return {way: {event_name(one): _event(one) for one in events} for way, events in said.items()}


def unheard(writer: Told, reader: Told) -> tuple[str, ...]:
    """Why who has the second of two readings of an event cannot hear what is said by the first; empty where it can."""
    return tuple(dict.fromkeys(_Comparison(writer["shape"], reader["shape"], "", strict=True).found()))


def _event(event: type[Event]) -> Told:
    return {"shape": tell(event), **{name: getattr(event, f"event_{name}") for name in ("keep", "public")}}


class _Comparison:
    """Whether what has one shape can be read as another, however deep."""

    def __init__(self, writer: Any, reader: Any, what: str, *, unknown: str = "", strict: bool = False) -> None:
        """With `unknown` each member of the outermost has to be known to the reader, or has this said of it; `strict`
        looks at constraints, too."""
        self._writer, self._reader = writer, reader
        self._what = what
        self._unknown = unknown
        self._strict = strict
        self._structs: tuple[list[Any], list[Any]] = ([], [])
        """Each message by its number, as it is told where it is met again."""
        self._seen: set[tuple[int, int]] = set()
        self._found: list[str] = []

    def found(self) -> list[str]:
        _number(self._writer, self._structs[0])
        _number(self._reader, self._structs[1])
        self._shape(self._writer, self._reader, "")
        return self._found

    def _say(self, path: str, what: str) -> None:
        self._found.append(f"{self._what}{path or 'value'} {what}")

    def _shape(self, writer: Any, reader: Any, path: str) -> None:
        options = reader[1] if reader[0][0] == "union" else [reader]
        for one in writer[1] if writer[0][0] == "union" else [writer]:
            fits = [option for option in options if self._alike(one, option)]
            if not fits:
                kinds = " or ".join(option[0][0] for option in options)
                self._say(path, f"is written as {one[0][0]} and read as {kinds}")
                continue
            self._within(one, fits[0], path)

    def _alike(self, writer: Any, reader: Any) -> bool:
        kind, wanted = writer[0][0], reader[0][0]
        if kind == wanted == "struct":
            return self._struct(writer, 0)[1] == self._struct(reader, 1)[1]
        return kind == wanted or (kind, wanted) in _WIDER

    def _within(self, writer: Any, reader: Any, path: str) -> None:
        if self._strict:
            self._limits(writer[0][2], reader[0][2], path)
        if writer[0][0] == "struct":
            self._members(self._struct(writer, 0), self._struct(reader, 1), path)
        elif reader[0][0] in ("enum", "literal"):
            for value in writer[0][4]:
                if value not in reader[0][4]:
                    self._say(path, f"may be {value}, which its reader does not know")
        elif len(writer[1]) != len(reader[1]):
            self._say(path, f"has {len(writer[1])} parts and {len(reader[1])} for its reader")
        else:
            for one, other in zip(writer[1], reader[1], strict=True):
                self._shape(one, other, f"{path}[]")

    def _limits(self, written: Mapping[str, str], read: Mapping[str, str], path: str) -> None:
        for name, bound in read.items():
            had = written.get(name)
            if had is None or not _as_narrow(name, had, bound):
                self._say(
                    path, f"has {name}={bound} for its reader, and {f'{name}={had}' if had else 'not'} as written"
                )

    def _struct(self, shape: Any, side: int) -> Any:
        return self._structs[side][shape[1]] if isinstance(shape[1], int) else shape[1]

    def _members(self, writer: Any, reader: Any, path: str) -> None:
        pair = (id(writer), id(reader))
        if pair in self._seen:
            return
        self._seen.add(pair)
        written = {one[1]: one for one in writer[3]}
        for _, name, default, shape in reader[3]:
            here = f"{path}.{name}" if path else name
            given = written.get(name)
            if given is None:
                if default == _REQUIRED:
                    self._say(here, "is needed by its reader and is not written")
                continue
            if given[3][0][1] and not shape[0][1] and default == _REQUIRED:
                self._say(here, "may be left out, and its reader needs it")
            self._shape(given[3], shape, here)
        if self._unknown and not path:
            known = {one[1] for one in reader[3]}
            for _, name, default, _ in writer[3]:
                if name not in known and default == _REQUIRED:
                    self._say(name, self._unknown)


def _as_narrow(name: str, written: str, read: str) -> bool:
    """Whether a constraint holds wherever the written one does."""
    if name in _LEAST:
        return float(written) >= float(read)
    return float(written) <= float(read) if name in _MOST else written == read


def _number(shape: Any, structs: list[Any]) -> None:
    """Messages in the order in which they were told."""
    below = shape[1]
    if isinstance(below, int):
        return
    if below and isinstance(below[0], str):
        structs.append(below)
        below = [member[3] for member in below[3]]
    for one in below:
        _number(one, structs)
