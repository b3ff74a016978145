"""The implementation beside its contract: the one `@final` class in `service.py` that inherits it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import traceback
from types import ModuleType
from typing import Any

from enfilade.contract.operation import Contract
from enfilade.errors import Finding, StartError


def implementation(contract: Contract, named: str = "") -> type:
    """The class that serves a contract. Imports its module, and nothing else of the service.

    `named` is another module than the one beside the contract, or `module:Class`. Raises StartError where there is
    none, more than one, or one that does not say what the contract says.
    """
    cls = beside(contract, named)
    if findings := mismatches(contract, cls):
        raise StartError(findings)
    return cls


def beside(contract: Contract, named: str = "") -> type:
    """The class that inherits a contract, whether it keeps to it or not. Raises StartError where there is not one."""
    name = contract.type.__name__
    module_name, _, wanted = named.partition(":")
    module_name = module_name or f"{contract.type.__module__.rpartition('.')[0]}.service".lstrip(".")
    file = f"{module_name.replace('.', '/')}.py"
    remedy = f"Write a @final class that inherits {name} in {file}."
    try:
        found = importlib.util.find_spec(module_name)
    except ModuleNotFoundError:
        found = None
    if found is None:
        if named:
            raise StartError([Finding(named, f"there is no module {module_name}.", remedy, "no-implementation")])
        remedy += f' Or say in enfilade.toml where it is served: `at = "..."` under [service.{contract.name}].'
        raise StartError([Finding(contract.where, f"{name} has no implementation.", remedy, "no-implementation")])
    module = _import(module_name)
    classes = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and one.__module__ == module_name and contract.type in one.__mro__[1:]
        if wanted in ("", one.__name__)
    ]
    if not classes:
        remedy = f"Write a @final class {wanted} that inherits {name} in {file}." if wanted else remedy
        raise StartError([Finding(file, f"{name} has no implementation.", remedy, "no-implementation")])
    if len(classes) > 1:
        names = ", ".join(one.__name__ for one in classes)
        what = f"{name} has more than one implementation: {names}."
        raise StartError([Finding(file, what, f"Keep one, or name it: app.service({name}).by(...).", "ambiguous")])
    return classes[0]


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except StartError:
        raise
    except Exception as failed:  # a module may do anything while it is imported
        last = traceback.extract_tb(failed.__traceback__)[-1]
        where = (failed.filename, failed.lineno) if isinstance(failed, SyntaxError) else (last.filename, last.lineno)
        what = f"{name} cannot be imported: {type(failed).__name__}: {failed}."
        remedy = "Mend what this line does, or install what it needs."
        raise StartError([Finding(f"{where[0]}:{where[1]}", what, remedy, "import")]) from failed


def mismatches(contract: Contract, cls: type) -> list[Finding]:
    """Where a class does not keep to its contract, for those who do not run a type checker."""
    findings: list[Finding] = []
    if not getattr(cls, "__final__", False):
        what = f"{cls.__name__} is not @final, so type checkers do not see a method that it lacks."
        findings.append(Finding(place(cls), what, f"Put @final above class {cls.__name__}.", "not-final"))
    for operation in contract.operations:
        said = inspect.getattr_static(contract.type, operation.name)
        done = inspect.getattr_static(cls, operation.name)
        if done is said:
            what = f"{cls.__name__} does not implement {operation.name}."
            remedy = f"Write `async def {operation.name}{inspect.signature(said)}` in it."
            findings.append(Finding(place(cls), what, remedy, "missing-method"))
            continue
        findings.extend(_differences(operation.name, said, done))
    return findings


def _differences(name: str, said: Any, done: Any) -> list[Finding]:
    method = inspect.unwrap(done)
    promised = inspect.signature(said).parameters
    kept = inspect.signature(method).parameters
    if list(promised) != list(kept):
        what = f"{name} takes ({', '.join(kept)}), its contract says ({', '.join(promised)})."
        return [Finding(place(method), what, "Give it the contract's parameters, in their order.", "parameters")]
    findings: list[Finding] = []
    for parameter, ours in zip(promised.values(), kept.values(), strict=True):
        if parameter.default != ours.default:
            what = f"{name}({ours.name}) has another default than its contract; the contract's is used."
            findings.append(Finding(place(method), what, "Say the same default, so that nobody is misled.", "default"))
    if inspect.iscoroutinefunction(said) and not inspect.iscoroutinefunction(method):
        findings.append(Finding(place(method), f"{name} is not async.", f"Write `async def {name}`.", "not-async"))
    if not inspect.iscoroutinefunction(said) and not inspect.isasyncgenfunction(method):
        remedy = f"Write `async def {name}` with `yield`."
        findings.append(
            Finding(place(method), f"{name} does not yield, and its contract says Stream.", remedy, "not-stream")
        )
    return findings


def place(thing: Any) -> str:
    """`file:line` of a class or function."""
    try:
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return f"{thing.__module__}.{thing.__qualname__}"
