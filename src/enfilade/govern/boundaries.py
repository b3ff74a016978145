"""The walls between services: of another folder `contract.py` alone may be imported; contracts import only contracts.

Plain reading of the files, so that an import for type checkers only is seen as well, and with its line.
"""

from __future__ import annotations

import ast
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import enfilade
from enfilade.contract.operation import Contract
from enfilade.errors import Finding
from enfilade.govern.source import Source, Sources


def boundaries(contracts: Iterable[Contract], sources: Sources) -> Iterator[Finding]:
    """The rules: imports across folders, and imports of contracts."""
    folders = folders_of(contracts)
    for folder, path in folders.items():
        for file in sorted(path.rglob("*.py")):
            module = _module(folder, path, file)
            if _owner(module, folders) != folder or (source := sources.read(file, module)) is None:
                continue
            for node, target in _imports(source):
                yield from _across(source, node, target, folder, folders)
                if module == f"{folder}.contract":
                    yield from _from_contract(source, node, target, folder, folders)


def folders_of(contracts: Iterable[Contract]) -> dict[str, Path]:
    """The services' packages and where they lie: `shop.orders`."""
    found: dict[str, Path] = {}
    for contract in contracts:
        module = sys.modules.get(contract.type.__module__)
        folder, _, last = contract.type.__module__.rpartition(".")
        file = getattr(module, "__file__", None)
        if folder and last == "contract" and file:
            found[folder] = Path(file).parent
    return found


def _across(source: Source, node: ast.stmt, target: str, folder: str, folders: dict[str, Path]) -> Iterator[Finding]:
    owner = _owner(target, folders)
    if owner in ("", folder) or target == f"{owner}.contract" or target.startswith(f"{owner}.contract."):
        return
    what = f"{source.module} imports {target}, which is private to {owner}."
    remedy = f"Import what you need from {owner}.contract, or have {owner} say it there."
    yield Finding(source.where(node), what, remedy, "boundary")


def _from_contract(
    source: Source, node: ast.stmt, target: str, folder: str, folders: dict[str, Path]
) -> Iterator[Finding]:
    owner = _owner(target, folders)
    if owner not in ("", folder):
        return  # a contract, or reported as an import across folders
    if target == f"{folder}.contract" or target.startswith(f"{folder}.contract.") or _sayable(target):
        return
    what = f"the contract {source.module} imports {target}: whoever calls the service would have to have it, too."
    remedy = "A contract imports from enfilade, the standard library and other contracts. Move the rest to the service."
    yield Finding(source.where(node), what, remedy, "contract-imports")


def _sayable(target: str) -> bool:
    """Whether a contract may import this from outside: what `enfilade` exports, and the standard library."""
    top, _, below = target.partition(".")
    if top != "enfilade":
        return top in sys.stdlib_module_names or top == "typing_extensions"
    if below.startswith("identity.people"):
        return True  # the role that a service of accounts plays
    part = below.partition(".")[0]
    return part in ("contract", "errors") or all(part != one.name for one in pkgutil.iter_modules(enfilade.__path__))


def _imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Each import of a file, with the full name of what it imports."""
    package = source.module if source.path.name == "__init__.py" else source.module.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            start = ".".join(part for part in (base, node.module or "") if part)
            yield from ((node, f"{start}.{name.name}" if name.name != "*" else start) for name in node.names)


def _owner(target: str, folders: Iterable[str]) -> str:
    """The folder that a module lies in; `""` where that is none of a service."""
    inside = [folder for folder in folders if target == folder or target.startswith(f"{folder}.")]
    return max(inside, key=len, default="")


def _module(folder: str, path: Path, file: Path) -> str:
    parts = [*folder.split("."), *file.relative_to(path).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
