"""A method's signature as parameters with their places, and its return type as a style."""
# Annotations are values of unknown type here: that is what reflection is.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from enfilade.contract.blob import Blob
from enfilade.contract.declare import Names
from enfilade.contract.marks import Mark, has_mark
from enfilade.contract.operation import REQUIRED, Parameter, Place, Style
from enfilade.contract.page import Offset, Page, Paging
from enfilade.contract.place import Findings, where_is
from enfilade.contract.route import BODILESS, Route
from enfilade.contract.shape import SCALARS, Shape, camel, shape, walk_owned

_STREAMS = (AsyncGenerator, AsyncIterator, AsyncIterable)
_PAGINGS = (Paging, Offset)
IMPORT = "import it at the top of the module, not under TYPE_CHECKING and not inside a function"


@dataclass(frozen=True)
class Signature:
    """What a method takes and gives."""

    parameters: tuple[Parameter, ...]
    result: Any
    style: Style


def is_stream(annotation: Any) -> bool:
    return get_origin(annotation) in _STREAMS


def read_signature(method: Callable[..., Any], route: Route | None, names: Names, findings: Findings) -> Signature:
    """Reads what it can and adds every mistake to the findings."""
    hints = resolve(method, findings)
    signature = inspect.signature(method)
    taken = [one for one in list(signature.parameters.values())[1:] if _ordinary(one, findings)]
    for one in taken:
        if one.annotation is inspect.Parameter.empty:
            findings.add("annotation", f"the parameter {one.name} has no type", "annotate it")
    known = [one for one in taken if one.name in hints]
    parameters = _placed(known, hints, route, names, findings)
    if signature.return_annotation is inspect.Signature.empty:
        findings.add("annotation", "the method does not say what it returns", "annotate it, with -> None for nothing")
    result, style = _result(method, hints.get("return", None), findings)
    return Signature(parameters, result, style)


def resolve(of: Any, findings: Findings) -> dict[str, Any]:
    """The annotations as types; each that cannot be resolved is a finding, and left out."""
    with suppress(Exception):  # an annotation may raise anything; below it is found out which one does
        return get_type_hints(of, include_extras=True)
    found: dict[str, Any] = {}
    for name, annotation in inspect.get_annotations(of).items():
        try:
            one = type("one", (), {"__annotations__": {name: annotation}, "__module__": of.__module__})
            found[name] = get_type_hints(one, include_extras=True)[name]
        except Exception as error:
            findings.add(
                "annotation",
                f"the type of {name} cannot be read: {error}",
                IMPORT,
            )
    return found


def shape_of(what: str, annotation: Any, findings: Findings, *, maybe: bool = True) -> Shape | None:
    """The shape of a type that a contract may use; None, and the reasons in the findings, of any other.

    What is wrong with a field of a message is said of the message, so that it is said once.
    """
    try:
        found = shape(annotation)
    except Exception as error:  # an annotation may raise anything
        findings.add("annotation", f"a type within {what} cannot be read: {error}", IMPORT)
        return None
    before = len(findings.all)
    for owner, near, path, one in walk_owned(found):
        if one.wrong and owner is not None:
            findings.add("type", f"{owner.__name__}{near}: {one.wrong}", one.remedy, where_is(owner))
        elif one.wrong:
            findings.add("type", f"{what}{path}: {one.wrong}", one.remedy)
        if one.maybe and not maybe:
            findings.add("maybe", f"{what}{path} may be left out", "write `T | None`: what is answered says everything")
    if len(findings.all) == before:
        try:
            msgspec.json.Decoder(found.type)
        except TypeError as error:
            findings.add("type", f"{what}: {error}", "change the type as it says")
    return found if len(findings.all) == before else None


def _ordinary(one: inspect.Parameter, findings: Findings) -> bool:
    if one.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        findings.add("signature", f"*{one.name} has no name on a wire", "write out the parameters")
    elif one.kind is inspect.Parameter.POSITIONAL_ONLY:
        findings.add("signature", f"the parameter {one.name} is positional-only", "remove the / from the signature")
    else:
        return True
    return False


def _placed(
    known: list[inspect.Parameter], hints: dict[str, Any], route: Route | None, names: Names, findings: Findings
) -> tuple[Parameter, ...]:
    bodies = [one.name for one in known if _is_body(hints[one.name])]
    if len(bodies) > 1:
        findings.add("body", f"{' and '.join(bodies)} are both the body", "let one message have both as members")
    if bodies and route is not None and route.method in BODILESS:
        findings.add("body", f"{bodies[0]} is a body, and {route.method} has none", "use POST, PUT or PATCH")
    placeholders = route.placeholders if route else ()
    for name in placeholders:
        if name not in hints or name == "return":
            findings.add(
                "path",
                f"{{{name}}} in the path is no parameter",
                f"add the parameter {name}, or rename the placeholder",
            )
    made = tuple(_parameter(one, hints[one.name], route, names, bool(bodies), findings) for one in known)
    seen: set[tuple[Place, str]] = set()
    for one in made:
        if (one.place, one.wire) in seen:
            findings.add("name", f"two parameters are named {one.wire!r} on the wire", "give one of them another name")
        seen.add((one.place, one.wire))
    return made


def _is_body(annotation: Any) -> bool:
    options = (annotation, *get_args(annotation))
    return is_stream(annotation) or Blob in options or any(has_mark(option, "body") for option in options)


def _parameter(
    one: inspect.Parameter, annotation: Any, route: Route | None, names: Names, beside: bool, findings: Findings
) -> Parameter:
    default = REQUIRED if one.default is inspect.Parameter.empty else one.default
    if is_stream(annotation):
        if get_args(annotation)[0] is not bytes:
            findings.add(
                "type", f"{one.name} is a stream of messages", "only Stream[bytes] can be taken; send the rest by calls"
            )
        return Parameter(name=one.name, wire=one.name, type=annotation, default=default, place="body")
    found = shape_of(one.name, annotation, findings)
    if found is None:
        return Parameter(name=one.name, wire=one.name, type=annotation, default=default, place="member")
    marks = {mark.name: mark for mark in found.marks}
    place = _place(one.name, annotation, found, marks, route, beside)
    _check_place(one.name, found, place, default, findings)
    _check_default(one.name, found, default, findings)
    return Parameter(
        name=one.name,
        wire=_wire(one.name, place, marks, names),
        type=annotation,
        default=default,
        place=place,
        sensitive="sensitive" in marks,
        key="key" in marks,
    )


def _place(
    name: str, annotation: Any, found: Shape, marks: dict[str, Mark], route: Route | None, beside: bool
) -> Place:
    if route is None:
        return "member"
    if name in route.placeholders:
        return "path"
    if "header" in marks:
        return "header"
    if "version" in marks:
        return "if-match"
    if _is_body(annotation):
        return "body"
    if route.method in BODILESS or beside or (found.struct is not None and found.struct.cls in _PAGINGS):
        return "query"
    return "member"


def _wire(name: str, place: Place, marks: dict[str, Mark], names: Names) -> str:
    if place == "path":
        return name
    if "named" in marks:
        return marks["named"].value
    if place == "header":
        return name.replace("_", "-").title()
    if place == "if-match":
        return "If-Match"
    return camel(name) if names == "camel" else name


def _check_place(name: str, found: Shape, place: Place, default: Any, findings: Findings) -> None:
    kinds = {one.kind for one in found.parts} if found.kind == "union" else {found.kind}
    if place == "path":
        if default is not REQUIRED:
            findings.add(
                "path", f"{name} is in the path and has a default", "remove the default: a path always says it"
            )
        if not kinds <= SCALARS:
            findings.add(
                "path",
                f"{name} is in the path and not one plain value",
                "take text, a number, an id, a date or an enum",
            )
    elif place in ("header", "query", "if-match") and not _flat(found):
        findings.add(
            "query",
            f"{name} is in the {place} and has members of its own",
            "take plain values or a tuple of them, or make it Body[...] of a POST",
        )


def _flat(found: Shape) -> bool:
    """Whether texts can say it: a scalar, perhaps none, or several of one kind; or a paging."""
    if found.struct is not None:
        return found.struct.cls in _PAGINGS
    if found.kind == "union":
        return all(part.kind in SCALARS or part.kind == "none" for part in found.parts)
    if found.kind in ("array", "tuple"):
        return all(part.kind in SCALARS for part in found.parts)
    return found.kind in SCALARS


def _check_default(name: str, found: Shape, default: Any, findings: Findings) -> None:
    if default is REQUIRED:
        return
    if default is msgspec.UNSET:
        if not found.maybe:
            findings.add("default", f"{name} is UNSET by default, and its type does not say so", "write Maybe[...]")
        return
    if isinstance(default, dict | list | set) and default:
        findings.add("default", f"the default of {name} can be changed", "let it be empty, and fill it in the service")
    try:
        msgspec.convert(msgspec.to_builtins(default), found.type, str_keys=True)
    except (msgspec.ValidationError, TypeError) as error:
        findings.add("default", f"the default of {name} is not of its type: {error}", "change one of them")


def _result(method: Callable[..., Any], annotation: Any, findings: Findings) -> tuple[Any, Style]:
    waits = inspect.iscoroutinefunction(method)
    if is_stream(annotation) or inspect.isasyncgenfunction(method):
        if waits or inspect.isasyncgenfunction(method):
            findings.add(
                "stream",
                "the method returns a stream and is an `async def`",
                f"write `def {method.__name__}(...) -> Stream[T]` here, `async def` with `yield` in the service only",
            )
        item = (get_args(annotation) or (Any,))[0]
        if item is bytes:
            return bytes, "bytes"
        shape_of("the result", item, findings, maybe=False)
        return item, "stream"
    if not waits:
        findings.add("async", "the method is not async", f"write `async def {method.__name__}`")
    if annotation is None or annotation is NoneType:
        return NoneType, "nothing"
    found = shape_of("the result", annotation, findings, maybe=False)
    if annotation is Blob:
        return Blob, "blob"
    if found is not None and get_origin(annotation) is Page:
        return get_args(annotation)[0], "page"
    return annotation, "value"
