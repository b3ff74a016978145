"""A handle looks like the contract and makes each call of a method a `Call` on its way.

This is one of the two places where the platform builds code from types; the other is the reading of a contract.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, cast

from enfilade.call import Call, Handler
from enfilade.contract.operation import Contract, Operation

Begin = Callable[[Operation, dict[str, Any]], Call]
"""Makes the call for an operation and its arguments: the child of the current one, or a new one."""


def handle(contract: Contract, handlers: Mapping[str, Handler], begin: Begin) -> Any:
    """An object of the contract's shape whose methods go through `handlers`, by operation id.

    `handlers` may be filled later than the handle is made: services that call one another are built before any row is.
    Methods take what the contract's take, by position or by name, and defaults come from the contract alone.
    """
    methods: dict[str, Any] = {
        operation.name: staticmethod(_method(operation, handlers, begin)) for operation in contract.operations
    }
    described = f"<{contract.type.__name__} of {contract.name}>"
    methods["__repr__"] = lambda _self: described  # pyright: ignore[reportUnknownLambdaType]
    methods["__slots__"] = ()
    return type(contract.type.__name__, (), methods)()


def _method(operation: Operation, handlers: Mapping[str, Handler], begin: Begin) -> Callable[..., Any]:
    """A method with the operation's own parameters, so that Python binds them, and complains, as ever."""
    names = [one.name for one in operation.parameters]
    taken = ", ".join(name if name not in operation.defaults else f"{name}=_defaults[{name!r}]" for name in names)
    given = ", ".join(f"{name!r}: {name}" for name in names)
    # Compiled, as dataclasses and namedtuple do: binding by hand costs more than the rest of a call. It is a plain
    # function, which adds no frame to a traceback: the reply is awaited by the caller himself.
    source = f"def {operation.name}({taken}): return _ask[_id](_begin(_operation, {{{given}}}))"
    streams = operation.style in ("stream", "bytes")
    made: dict[str, Any] = {
        "_ask": {operation.id: _stream(operation.id, handlers)} if streams else handlers,
        "_id": operation.id, "_begin": begin, "_operation": operation, "_defaults": operation.defaults,
    }  # fmt: skip
    exec(source, made)  # noqa: S102  (the names in it are a method's own, so they are identifiers)
    method: Callable[..., Any] = made[operation.name]
    method.__qualname__ = operation.id
    return method


def _stream(id: str, handlers: Mapping[str, Handler]) -> Callable[[Call], AsyncGenerator[Any, None]]:
    async def stream(call: Call) -> AsyncGenerator[Any, None]:
        items = cast("AsyncGenerator[Any, None]", await handlers[id](call))
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()

    return stream
