"""Units of work: nothing foreign is awaited inside `@atomic`, and nothing is written outside of it.

A unit of work runs again when another one was faster, and others wait for it; so it must do nothing but its own rows
and events.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from typing import get_origin

from enfilade.clock import Clock
from enfilade.errors import Finding
from enfilade.govern.infer import Types
from enfilade.govern.program import Function, Service
from enfilade.govern.reach import operation_of, reached
from enfilade.identity import Passwords
from enfilade.outbound import Http
from enfilade.service.pools import Processes, Threads
from enfilade.store import Database, Table
from enfilade.store.blobs import Blobs
from enfilade.topic import Topic

_WRITES = {Table: ("add", "put", "delete", "lock"), Topic: ("publish",), Database: ("run",)}
_FOREIGN: dict[type, tuple[tuple[str, ...], str]] = {
    Http: (("fetch", "request", "read"), "HTTP is awaited"),
    Clock: (("sleep",), "a sleep is awaited"),
    Passwords: (("hash", "verify"), "a password is hashed"),
    Blobs: (("put", "open", "drop"), "a file is awaited"),
    Threads: (("__call__",), "a thread is awaited"),
    Processes: (("__call__",), "a process is awaited"),
}
_FUNCTIONS = (asyncio.sleep, asyncio.to_thread, asyncio.open_connection)


def foreign(service: Service) -> Iterator[Finding]:
    """What is awaited inside a unit of work and is not its own."""
    for name, method in service.methods.items():
        if method.atomic:
            for types, call, chain in reached(service, method, lambda _: True):
                if (what := _foreign(types, call)) is not None:
                    through = f" ({' -> '.join(chain)})" if len(chain) > 1 else ""
                    yield Finding(
                        types.function.source.where(call),
                        f"{what} inside @atomic {name}{through}: a unit of work may run again, and others wait for it.",
                        f"Do it before {name} and pass the result in, or after it.",
                        "foreign-await",
                    )


def loose_writes(service: Service) -> Iterator[Finding]:
    """What is written and belongs to no unit of work."""
    queries = [method for operation, method in service.operations if operation.kind == "query"]
    for entry in service.entries:
        if entry.atomic or entry in queries:
            continue
        for types, call, chain in reached(service, entry, lambda called: not called.atomic):
            if (what := write_of(types, call)) is not None:
                yield Finding(
                    types.function.source.where(call),
                    f"{what} outside of @atomic ({' -> '.join(chain)}).",
                    f"Put it in a method of its own with @atomic above it, or write @atomic above {chain[-1]}.",
                    "write-outside-atomic",
                )


def written_in_queries(service: Service) -> Iterator[Finding]:
    """What a query writes, inside a unit of work or not."""
    for operation, method in service.operations:
        if operation.kind == "query":
            for types, call, chain in reached(service, method, lambda _: True):
                if (what := write_of(types, call)) is not None:
                    yield Finding(
                        types.function.source.where(call),
                        f"{what} in a query ({' -> '.join(chain)}): queries change nothing.",
                        f"Make {operation.name} a @command, or leave the writing to one.",
                        "write-in-query",
                    )


def writes(service: Service, method: Function) -> bool:
    """Whether a method writes anything, itself or by what it calls."""
    return any(write_of(types, call) is not None for types, call, _ in reached(service, method, lambda _: True))


def _foreign(types: Types, call: ast.Call) -> str | None:
    operation = operation_of(types, call)
    if operation is not None:
        return f"{operation.id} is called"
    target = types.function.resolve(call.func)
    if target in _FUNCTIONS:
        return f"asyncio.{target.__name__} is awaited"
    asked = [(types.of(call.func), "__call__")]  # `self.threads(...)`
    if isinstance(call.func, ast.Attribute):
        asked.append((types.of(call.func.value), call.func.attr))
    for owner, name in asked:
        for kind in owner.__mro__ if isinstance(owner, type) else ():
            names, what = _FOREIGN.get(kind, ((), ""))
            if name in names:
                return what
    return None


def write_of(types: Types, call: ast.Call) -> str | None:
    """What a call writes; None where it does not."""
    if not isinstance(call.func, ast.Attribute):
        return None
    owner = types.of(call.func.value)
    for kind, names in _WRITES.items():
        if (get_origin(owner) or owner) is kind and call.func.attr in names:
            return f"{ast.unparse(call.func)} writes" if call.func.attr != "lock" else f"{ast.unparse(call.func)} locks"
    return None
