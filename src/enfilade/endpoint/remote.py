"""The other end of REST: a contract that is served elsewhere, called by its routes.

Where `[service.psp]` has `at = "https://psp.example"`, the row of each operation ends here instead of at a class.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from enfilade.call import Call, Handler, deadline
from enfilade.contract.codec import Codec, codec
from enfilade.contract.operation import Contract, Operation, Parameter
from enfilade.contract.problem import problem_from
from enfilade.errors import DeadlineExceeded, Finding, Invalid, Malformed, Problem, StartError, Unavailable
from enfilade.outbound import Http, HttpAnswer

_THEIRS: Final = 0.9
"""Part of a call's time that they have: the rest is for their callers, who may do without or say why they cannot."""


def connect(contract: Contract, base: str, http: Http) -> Mapping[str, Handler]:
    """Handlers by operation id that ask `base`. Raises StartError for operations that no route can carry."""
    findings: list[Finding] = []
    for operation in contract.operations:
        if not operation.path:
            what = f"{operation.id} has no route, so {base} cannot be asked for it."
            findings.append(Finding(operation.where, what, 'Give it one: @query("GET /...").', "remote"))
        elif operation.style in ("stream", "blob", "bytes"):
            what = f"{operation.id} gives a {operation.style}, which is not carried over REST from elsewhere yet."
            findings.append(Finding(operation.where, what, "Serve it in this process, or return a value.", "remote"))
    if findings:
        raise StartError(findings)
    return {operation.id: _asks(operation, base.rstrip("/"), http) for operation in contract.operations}


class Asked(NamedTuple):
    """The request that asks for an operation with certain arguments."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes


def asking(operation: Operation, base: str = "") -> Callable[[Mapping[str, Any]], Asked]:
    """The function from arguments to the request that carries them, by the operation's route below `base`."""
    url = _url(operation, base)
    headers = _headers(operation)
    body = _body(operation)

    def asked(arguments: Mapping[str, Any]) -> Asked:
        content = body(arguments)
        sent = {**headers(arguments), "accept": "application/json"}
        if content:
            sent["content-type"] = "application/json"
        return Asked(operation.method, url(arguments), sent, content)

    return asked


def _asks(operation: Operation, base: str, http: Http) -> Handler:
    asked = asking(operation, base)
    answer = _answer(operation)

    async def ask(call: Call) -> Any:
        method, url, headers, content = asked(call.arguments)
        if call.key:
            headers["idempotency-key"] = f'"{_key(call)}"'
        try:
            with deadline(call.remaining * _THEIRS):
                got = await http.request(method, url, content=content, headers=headers)
        except DeadlineExceeded as late:
            if call.remaining <= 0:
                raise
            raise Unavailable(str(late)) from late
        if got.status >= 300:
            raise _refusal(operation, got)
        try:
            return answer(got.content)
        except (Invalid, Malformed) as wrong:  # theirs, not our caller's
            raise Unavailable(f"{operation.id} was answered with something else: {wrong}") from wrong

    return ask


def _key(call: Call) -> str:
    """The key for the other side, where all our callers are one client: two of them may have thought of the same."""
    subject = call.caller.subject if call.caller else ""
    return hashlib.sha256("\n".join((call.peer, call.tenant, subject, call.key)).encode()).hexdigest()[:32]


def _url(operation: Operation, base: str) -> Callable[[Mapping[str, Any]], str]:
    pieces = re.split(r"\{(\w+)\}", operation.path)
    texts = {one.name: _text(one) for one in operation.parameters if one.place in ("path", "query")}
    paths = {one.wire: one.name for one in operation.parameters if one.place == "path"}
    queries = [one for one in operation.parameters if one.place == "query"]

    def url(arguments: Mapping[str, Any]) -> str:
        found = [
            piece if at % 2 == 0 else quote(texts[paths[piece]](arguments[paths[piece]])[0], safe="")
            for at, piece in enumerate(pieces)
        ]
        pairs = [
            (one.wire, text)
            for one in queries
            if one.required or arguments[one.name] != one.default
            for text in texts[one.name](arguments[one.name])
        ]
        return base + "".join(found) + (f"?{urlencode(pairs)}" if pairs else "")

    return url


def _text(parameter: Parameter) -> Callable[[Any], list[str]]:
    """A parameter's value as the texts of a path, query or header."""
    plain: Codec[Any] = codec(parameter.type)

    def texts(value: Any) -> list[str]:
        written = msgspec.json.decode(plain.encode(value))
        return [one if isinstance(one, str) else msgspec.json.encode(one).decode() for one in _each(written)]

    return texts


def _each(written: Any) -> list[Any]:
    if written is None:
        return []
    return list(written) if isinstance(written, list) else [written]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _headers(operation: Operation) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    named = [(one, _text(one)) for one in operation.parameters if one.place == "header"]
    version = next((one.name for one in operation.parameters if one.place == "if-match"), "")

    def headers(arguments: Mapping[str, Any]) -> dict[str, str]:
        given = [(one.wire, texts(arguments[one.name])) for one, texts in named if arguments[one.name] is not None]
        return {
            **{name: ", ".join(values) for name, values in given},
            **({"if-match": f'"{arguments[version]}"'} if version else {}),
        }

    return headers


def _body(operation: Operation) -> Callable[[Mapping[str, Any]], bytes]:
    whole = next((one for one in operation.parameters if one.place == "body"), None)
    if whole is not None:
        plain: Codec[Any] = codec(whole.type, names=operation.names)
        return lambda arguments: plain.encode(arguments[whole.name])
    members = [one for one in operation.parameters if one.place == "member"]
    if not members:
        return lambda arguments: b""
    fields: list[Any] = [(one.name, one.type) if one.required else (one.name, one.type, one.default) for one in members]
    renames = {one.name: one.wire for one in members}
    message = msgspec.defstruct(f"{operation.name}_body", fields, rename=renames.get, kw_only=True, omit_defaults=True)
    parts: Codec[Any] = codec(message, names=operation.names)
    return lambda arguments: parts.encode(message(**{one.name: arguments[one.name] for one in members}))


def _answer(operation: Operation) -> Callable[[bytes], Any]:
    if operation.style == "nothing":
        return lambda content: None
    if not operation.returns:
        return codec(operation.reply, names=operation.names, unknown="ignore").decode
    fields: list[Any] = [("value", operation.reply)]
    wrapped = msgspec.defstruct(f"{operation.name}_answer", fields, rename={"value": operation.returns}.get)
    plain: Codec[Any] = codec(wrapped, names=operation.names, unknown="ignore")
    return lambda content: plain.decode(content).value


def _refusal(operation: Operation, got: HttpAnswer) -> Exception:
    """The declared Problem of the answer, as the same class; anything else did not do what the contract says."""
    if got.status >= 400 and got.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            found = problem_from(msgspec.json.decode(got.content, type=dict[str, Any]), operation.raises)
        except (msgspec.DecodeError, RecursionError, Problem):
            found = None
        if found is not None and type(found) in operation.raises:
            return found
    return Unavailable(f"{operation.id} was answered with {got.status}, which its contract does not say")
