"""What a process of a stage is told, and the app in it: by name where it has one, else piece by piece."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from types import FunctionType, ModuleType
from typing import Any, Final

from enfilade.app import App
from enfilade.config import Config
from enfilade.contract.read import read
from enfilade.errors import Finding, StartError
from enfilade.placement import Share
from enfilade.service.inject import is_contract

_PIECES: Final = (
    "name", "services", "endpoints", "stations", "policy", "builders", "provided", "mounts", "resolvers",
)  # fmt: skip
"""What makes an app, as far as its user says it."""
_SCRIPT: Final = frozenset(("__main__", "__mp_main__"))
"""Names of what Python was started with, which does all it does once more where it is loaded again."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a process is told. Its pieces are read one after the other: classes are found by what stands before."""

    share: Share
    config: Config
    start: datetime
    seed: int
    folder: str
    """The working folder."""
    path: Sequence[str] = field(default_factory=lambda: tuple(sys.path))
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    modules: Mapping[str, str]
    """The files of modules, by names that may mean something to the test only."""
    app: bytes


def written(app: App, original: App) -> tuple[bytes, Mapping[str, str]]:
    """An app for another process, and the modules that it is made of, with their files. Raises StartError."""
    name = _name(original)
    own = [one for one in _PIECES if not name or getattr(app, one) is not getattr(original, one)]
    pieces = {one: getattr(app, one) for one in own}
    writer = _Writer(io.BytesIO())
    try:
        writer.dump((name, pieces))
        if writer.modules & _SCRIPT or name.partition(":")[0] in _SCRIPT:
            raise TypeError("it is made in a script")  # noqa: TRY301  (as the dump says it of all else)
    except Exception as wrong:  # of any object's own making
        what = f"it cannot be told to another process: {wrong}."
        remedy = "Make it, its classes and its functions names of a module, or let this test have the shape rpc."
        raise StartError([Finding(f"the app {app.name}", what, remedy, "shape")]) from wrong
    modules = {*writer.modules, *([name.partition(":")[0]] if name else [])}
    files = {one: getattr(sys.modules.get(one), "__file__", None) for one in sorted(modules)}
    return writer.file.getvalue(), {one: file for one, file in files.items() if file is not None}


def read_back(job: Job) -> App:
    """The app, in the process that was told of it."""
    os.environ.clear()
    os.environ.update(job.environ)
    os.chdir(job.folder)
    sys.path[:] = job.path
    for name, file in job.modules.items():
        load(name, file)
    named, pieces = pickle.loads(job.app)  # noqa: S301  (of the test that started us)
    module, _, attribute = named.partition(":")
    app: App = getattr(sys.modules[module], attribute) if named else App("", services=[])
    for piece, value in pieces.items():
        setattr(app, piece, value)
    return app


def read_all() -> None:
    """Read the contracts of all modules that are loaded: in the nursery, so that no process from there need do it."""
    for module in list(sys.modules.values()):
        for value in list(getattr(module, "__dict__", {}).values()):
            if is_contract(value):
                with suppress(StartError):  # who has it in an app is told
                    read(value)


def load(name: str, file: str) -> None:
    """Have a module of this name that is this file, whatever else could be found by the name."""
    if getattr(sys.modules.get(name), "__file__", None) == file:
        return
    spec = _found(name)
    if spec is None or spec.origin != file:
        spec = importlib.util.spec_from_file_location(name, file)
        *parents, _ = accumulate(name.split("."), "{}.{}".format)
        for parent in parents:  # who pickles a class looks for its module by way of these
            if _found(parent) is None:
                sys.modules.setdefault(parent, ModuleType(parent))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _found(name: str) -> Any:
    try:
        return importlib.util.find_spec(name) if name not in sys.modules else None
    except (ImportError, ValueError):
        return None


def _name(app: App) -> str:
    """`module:name` of an app; `""` where it has none. What a test imported has an own name elsewhere."""
    found = [
        f"{name}:{key}"
        for name, module in list(sys.modules.items())
        for key, value in list(getattr(module, "__dict__", {}).items())
        if value is app
    ]
    return min(found, key=lambda one: of_a_test(one.partition(":")[0]), default="")


def of_a_test(name: str) -> bool:
    """Whether a module is one of tests by its name: those are found by their files."""
    last = name.rpartition(".")[2]
    return last.startswith(("test_", "conftest")) or last in _SCRIPT or last.endswith("_test")


class _Writer(pickle.Pickler):
    """Notes the modules of all classes and functions that it writes."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.file = file
        self.modules: set[str] = set()

    def persistent_id(self, obj: Any) -> None:
        if isinstance(obj, type | FunctionType):
            self.modules.add(obj.__module__)
