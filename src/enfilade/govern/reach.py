"""Which code runs when an entry is called: the service's own functions, and the operations of others that they call."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.govern.infer import Types
from enfilade.govern.program import Function, Service, calls_in
from enfilade.service.inject import is_contract


def reached(
    service: Service, start: Function, enters: Callable[[Function], bool]
) -> Iterator[tuple[Types, ast.Call, tuple[str, ...]]]:
    """Every call made by a function and by those of the service that it calls, with the way there."""
    seen: set[Function] = set()

    def visit(types: Types, chain: tuple[str, ...]) -> Iterator[tuple[Types, ast.Call, tuple[str, ...]]]:
        function = types.function
        seen.add(function)
        for call in calls_in(function):
            called = service.called(function, call)
            if called is None:
                yield types, call, chain
            elif called not in seen and enters(called):
                inner = called in function.inner.values()
                yield from visit(types.inside(called) if inner else Types(service, called), (*chain, called.name))

    yield from visit(Types(service, start), (start.name,))


def everywhere(service: Service) -> Iterator[Types]:
    """Each function of the service that a rule may look into: methods, what they define, and what they call."""
    seen: set[Function] = set()
    waiting = [Types(service, method) for method in service.methods.values()]
    while waiting:
        types = waiting.pop(0)
        if types.function in seen:
            continue
        seen.add(types.function)
        yield types
        waiting += [types.inside(one) for one in types.function.inner.values()]
        called = (service.called(types.function, call) for call in calls_in(types.function))
        waiting += [
            Types(service, one) for one in called if one is not None and one not in types.function.inner.values()
        ]


def operation_of(types: Types, node: ast.Call) -> Operation | None:
    """The operation of another service that a call calls: `self.catalog.product(...)`."""
    if not isinstance(node.func, ast.Attribute):
        return None
    owner = types.of(node.func.value)
    if not isinstance(owner, type) or not is_contract(owner):
        return None
    return next((one for one in read(owner).operations if one.name == node.func.attr), None)
