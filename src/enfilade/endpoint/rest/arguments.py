"""Arguments from the head of a request: its path, query and headers. Each parameter's reader is made at start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from enfilade.contract.codec import codec
from enfilade.contract.operation import Operation, Parameter
from enfilade.contract.page import Offset, Paging
from enfilade.contract.shape import shape
from enfilade.endpoint.http import Request
from enfilade.endpoint.rest.conditional import expected_version
from enfilade.endpoint.rest.text import pairs
from enfilade.errors import FieldError, Invalid

Found: TypeAlias = dict[str, Any]
"""Arguments by the parameters' own names."""
Wrong: TypeAlias = list[FieldError]
HeadReader: TypeAlias = Callable[[Request, list[str]], Found]
"""Takes the request and the values of the path. Raises Invalid with all that is wrong."""
Reader: TypeAlias = Callable[[Request, list[str], Found, Wrong], None]
"""The same for one parameter: adds to what was found, and to what is wrong."""
Query: TypeAlias = dict[str, list[str]]
QueryReader: TypeAlias = Callable[[Query, Found, Wrong], None]


def head_reader(operation: Operation, *, refuse_unknown: bool) -> HeadReader:
    """The reader of all parameters of an operation that are not in its body."""
    readers: list[Reader] = [
        *_path_readers(operation),
        *(_header_reader(one) for one in operation.parameters if one.place == "header"),
        *(_version_reader(one) for one in operation.parameters if one.place == "if-match"),
    ]
    asked = [one for one in operation.parameters if one.place == "query"]
    queries = [_paging_reader(one) if is_paging(one) else _query_reader(one) for one in asked]
    known = frozenset(name for one in asked for name in query_names(one))

    nothing = not readers and not queries

    def read(request: Request, values: list[str]) -> Found:
        found: Found = {}
        if nothing and not request.query:
            return found
        wrong: Wrong = []
        for reader in readers:
            reader(request, values, found, wrong)
        if queries or request.query:
            query = pairs(request.query) if request.query else {}
            for ask in queries:
                ask(query, found, wrong)
            if refuse_unknown and not query.keys() <= known:
                wrong.extend(_unknown(name) for name in query if name not in known)
        if wrong:
            raise Invalid(errors=tuple(wrong))
        return found

    return read


def _unknown(name: str) -> FieldError:
    return FieldError(pointer="", parameter=name, detail="There is no such query parameter.")


def is_paging(parameter: Parameter) -> bool:
    """Whether the parameter is a page's address, whose members are query parameters of their own."""
    return _paging_class(parameter) is not None


def query_names(parameter: Parameter) -> tuple[str, ...]:
    """The names in the query that one parameter takes."""
    kind = _paging_class(parameter)
    return (parameter.wire,) if kind is None else kind.__struct_fields__


def _paging_class(parameter: Parameter) -> Any:
    struct = shape(parameter.type).struct
    return struct.cls if struct is not None and struct.cls in (Paging, Offset) else None


def _path_readers(operation: Operation) -> list[Reader]:
    parameters = {one.wire: one for one in operation.parameters if one.place == "path"}
    places = [segment[1:-1] for segment in operation.path.split("/") if segment.startswith("{")]
    return [_path_reader(parameters[name], at) for at, name in enumerate(places)]


def _path_reader(parameter: Parameter, at: int) -> Reader:
    name = parameter.name
    take = _taker(parameter)

    def plain(request: Request, values: list[str], found: Found, wrong: Wrong) -> None:
        found[name] = values[at]

    def read(request: Request, values: list[str], found: Found, wrong: Wrong) -> None:
        take([values[at]], found, wrong)

    return plain if parameter.type is str else read


def _query_reader(parameter: Parameter) -> QueryReader:
    wire = parameter.wire
    take = _taker(parameter)

    def read(query: Query, found: Found, wrong: Wrong) -> None:
        take(query.get(wire), found, wrong)

    return read


def _header_reader(parameter: Parameter) -> Reader:
    field = parameter.wire.lower().encode()
    several = shape(parameter.type).kind in ("array", "tuple")
    take = _taker(parameter)

    def read(request: Request, values: list[str], found: Found, wrong: Wrong) -> None:
        value = request.fields.get(field)
        if value is None:
            take(None, found, wrong)
            return
        text = value.decode("latin-1").strip()
        take([part.strip() for part in text.split(",") if part.strip()] if several else [text], found, wrong)

    return read


def _version_reader(parameter: Parameter) -> Reader:
    name, default = parameter.name, parameter.default
    required = parameter.required

    def read(request: Request, values: list[str], found: Found, wrong: Wrong) -> None:
        field = request.fields.get(b"if-match")
        found[name] = default if field is None and not required else expected_version(field)

    return read


def _taker(parameter: Parameter) -> Callable[[list[str] | None, Found, Wrong], None]:
    """Turns the texts of one parameter into its argument; None is for a parameter that was not said."""
    name, wire, default = parameter.name, parameter.wire, parameter.default
    required = parameter.required
    from_text = codec(parameter.type).from_text

    def take(texts: list[str] | None, found: Found, wrong: Wrong) -> None:
        if texts is None:
            if required:
                wrong.append(FieldError(pointer="", parameter=wire, detail="This is required."))
            found[name] = default
            return
        try:
            found[name] = from_text(texts)
        except Invalid as invalid:
            wrong.extend(FieldError(pointer="", parameter=wire, detail=error.detail) for error in invalid.errors)

    return take


def _paging_reader(parameter: Parameter) -> QueryReader:
    name, kind = parameter.name, _paging_class(parameter)
    first = kind() if parameter.required else parameter.default
    fields = msgspec.structs.fields(kind)
    members = [
        Parameter(name=one.name, wire=one.name, type=one.type, default=getattr(first, one.name), place="query")
        for one in fields
    ]
    takers = [(one.name, _taker(one)) for one in members]

    def read(query: Query, found: Found, wrong: Wrong) -> None:
        if query.keys().isdisjoint(kind.__struct_fields__):
            found[name] = first
            return
        given: Found = {}
        for member, take in takers:
            take(query.get(member), given, wrong)
        if len(given) == len(takers):
            found[name] = kind(**given)

    return read
