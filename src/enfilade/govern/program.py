"""The code of one service as the rules read it: its class, its methods, and what its fields are.

The service's modules are imported, so a name means what it means there; no code of theirs is run otherwise.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

from enfilade.contract.operation import Contract, Operation
from enfilade.errors import StartError
from enfilade.govern.source import Source, Sources
from enfilade.service.inject import wants
from enfilade.store import atomic
from enfilade.topic import handlers_of, schedules_of

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

UNKNOWN: Any = object()
"""The meaning of an expression that cannot be told without running it."""


@dataclass(eq=False)
class Function:
    """A method of the service, or a function of its folder that it calls."""

    name: str
    node: Definition
    source: Source
    names: Mapping[str, Any]
    """What names mean in its module."""
    inner: dict[str, Function] = field(default_factory=dict[str, "Function"])
    """Functions that are defined inside it, by name."""

    def __post_init__(self) -> None:
        for node in own_nodes(self.node):
            if isinstance(node, Definition):
                self.inner[node.name] = Function(f"{self.name}.{node.name}", node, self.source, self.names)

    @property
    def atomic(self) -> bool:
        return any(self.resolve(one) is atomic for one in self.node.decorator_list)

    @cached_property
    def local(self) -> frozenset[str]:
        """Names that the function binds itself."""
        arguments = self.node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        bound = {one.arg for one in named if one is not None}
        for node in own_nodes(self.node):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.add(node.id)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                bound.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                bound.update((one.asname or one.name).partition(".")[0] for one in node.names)
            elif isinstance(node, Definition | ast.ClassDef):
                bound.add(node.name)
        return frozenset(bound)

    def resolve(self, node: ast.expr) -> Any:
        """What a name or a dotted name of the module means, UNKNOWN for anything else."""
        if isinstance(node, ast.Name):
            if node.id in self.local:
                return UNKNOWN
            return self.names.get(node.id, getattr(builtins, node.id, UNKNOWN))
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            if isinstance(owner, ModuleType | type):
                return getattr(owner, node.attr, UNKNOWN)
        return UNKNOWN


@dataclass(eq=False)
class Service:
    """A contract, the class that serves it, and that class's code."""

    contract: Contract
    cls: type
    folder: str
    """The package: `shop.orders`."""
    sources: Sources
    methods: dict[str, Function]
    fields: dict[str, Any]
    """What injection puts on `self`, by attribute: a contract, `Table[OrderRow]`, `Http`..."""
    _functions: dict[FunctionType, Function | None] = field(default_factory=dict[FunctionType, "Function | None"])

    @property
    def operations(self) -> Iterator[tuple[Operation, Function]]:
        """Each operation with the method that serves it."""
        for operation in self.contract.operations:
            if operation.name in self.methods:
                yield operation, self.methods[operation.name]

    @property
    def listeners(self) -> tuple[Function, ...]:
        """The methods that events and the clock call."""
        try:
            names = [one.name for one in (*handlers_of(self.cls), *schedules_of(self.cls))]
        except StartError:  # reported by the rule about handlers
            return ()
        return tuple(self.methods[name] for name in names if name in self.methods)

    @property
    def entries(self) -> tuple[Function, ...]:
        """Every method that a call begins at."""
        return (*(method for _, method in self.operations), *self.listeners)

    def called(self, function: Function, call: ast.Call) -> Function | None:
        """The code that a call runs, where it is the service's own: a method, an inner function, one of its folder."""
        name = own_attribute(call.func)
        if name is not None:
            return self.methods.get(name)
        if isinstance(call.func, ast.Name) and call.func.id in function.inner:
            return function.inner[call.func.id]
        target = function.resolve(call.func)
        return self._function(inspect.unwrap(target)) if isinstance(target, FunctionType) else None

    def _function(self, target: Any) -> Function | None:
        if not isinstance(target, FunctionType):
            return None
        if target not in self._functions:
            own = target.__module__ == self.folder or target.__module__.startswith(f"{self.folder}.")
            self._functions[target] = _read_function(target, self.sources) if own and self.folder else None
        return self._functions[target]


def own_nodes(root: ast.AST) -> Iterator[ast.AST]:
    """Every node below, in order; of functions and classes that are defined there, the node but not what is inside."""
    waiting = list(ast.iter_child_nodes(root))
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, Definition | ast.ClassDef | ast.Lambda):
            waiting = [*ast.iter_child_nodes(node), *waiting]


def calls_in(function: Function) -> Iterator[ast.Call]:
    """The calls that a function makes itself."""
    return (node for node in own_nodes(function.node) if isinstance(node, ast.Call))


def own_attribute(node: ast.expr) -> str | None:
    """`name` of `self.name`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return None


def service_of(contract: Contract, cls: type, sources: Sources) -> Service:
    """Reads the class that serves a contract, and its bases as far as they are not contracts."""
    methods: dict[str, Function] = {}
    fields: dict[str, Any] = {}
    for one in reversed(cls.__mro__):
        if getattr(one, "_is_protocol", False) or one is object:
            continue
        module = sys.modules.get(one.__module__)
        source = read_module(one.__module__, sources)
        node = _class_node(source, one) if source else None
        if node is None or module is None:
            continue
        assert source is not None
        for member in node.body:
            if isinstance(member, Definition):
                methods[member.name] = Function(member.name, member, source, vars(module))
    try:
        types = {want.name: want.type for want in wants(cls)}
    except (StartError, NameError, TypeError):  # reported by the rule about injection
        types = {}
    fields.update(types)
    if "__init__" in methods:
        fields = dict(_assigned(methods["__init__"], types))
    folder = contract.type.__module__.rpartition(".")[0]
    return Service(contract, cls, folder, sources, methods, fields)


def read_module(name: str, sources: Sources) -> Source | None:
    """The file of an imported module."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return sources.read(Path(file), name) if file else None


def _class_node(source: Source, cls: type) -> ast.ClassDef | None:
    body: list[ast.stmt] = source.tree.body
    found: ast.ClassDef | None = None
    for name in cls.__qualname__.split("."):
        found = next((one for one in body if isinstance(one, ast.ClassDef) and one.name == name), None)
        if found is None:
            return None
        body = found.body
    return found


def _assigned(init: Function, types: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What `self.x = parameter` makes of the parameters of `__init__`."""
    for node in own_nodes(init.node):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in types:
            for target in node.targets:
                if (name := own_attribute(target)) is not None:
                    yield name, types[node.value.id]


def _read_function(target: FunctionType, sources: Sources) -> Function | None:
    source = read_module(target.__module__, sources)
    if source is None:
        return None
    for node in source.tree.body:
        if isinstance(node, Definition) and node.name == target.__name__:
            return Function(node.name, node, source, target.__globals__)
    return None
