"""Which app a command is about: `shop.app:app`, said or found, and imported."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import sysconfig
import tomllib
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import click

from enfilade.cli.refused import Refused, start_errors

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.config import Config

_ELSEWHERE = frozenset(("tests", "node_modules", "site-packages", "build", "dist"))

app_argument = click.argument("app", required=False)
"""The APP that commands take."""
app_option = click.option("--app", metavar="APP", help="The app; see `enfilade --help`.")
"""The same where the argument is something else."""
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


def load_app(said: str | None) -> App:
    """The app that a command is about, with its configuration. Raises Refused."""
    app, beside = _load(said)
    if app.config is None:
        app.config = configuration(beside)
    return app


def load_beside(said: str | None, code: Path | None = None) -> tuple[App, Path]:
    """The app that a command is about, as it is, and the folder where its files may lie. Raises Refused.

    `code` is the folder of its code, if that is not the working folder, from which nothing is imported then.
    """
    app, beside = _load(said, code)
    if app.config is not None:
        what = f"{app.name} brings its configuration along, and plans are said over enfilade.toml."
        raise Refused(what, "Leave `config` out of App(...), and write it into enfilade.toml.")
    return app, beside


def _load(said: str | None, code: Path | None = None) -> tuple[App, Path]:
    here = Path.cwd()
    if code is not None:
        sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    name, folder = (said, _root(said, code or here)) if said else _find(code or here)
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise Refused(f"{name} names no app.", "Write it as module:name, such as shop.app:app.")
    sys.path.insert(0, str(folder))
    module = _import(module_name)
    app = getattr(module, attribute, None)
    from enfilade.app import App

    if not isinstance(app, App):
        what = f"{module_name} has no {attribute}" if app is None else f"{name} is no App but a {type(app).__name__}"
        raise Refused(f"{what}.", f'Write `{attribute} = App("...", services=[...])` in {module_name}.')
    return app, Path(getattr(module, "__file__", None) or "").parent


def module_beside(said: str | None, name: str) -> ModuleType | None:
    """The module of this name in the package of the app, once the app is loaded; None where there is none."""
    app = (said or _find(Path.cwd())[0]).partition(":")[0]
    path = ".".join((*app.split(".")[:-1], name))
    return _import(path) if importlib.util.find_spec(path) is not None else None


def configuration_of(said: str | None) -> Config:
    """The configuration of an app that is not imported for it: it may be broken, and another of its builds may run."""
    name, folder = (said, _root(said, Path.cwd())) if said else _find(Path.cwd())
    return configuration((folder / name.partition(":")[0].replace(".", "/")).parent)


def config_of(app: App) -> Config:
    """The configuration that a loaded app starts with."""
    assert app.config is not None
    return app.config


def configuration(beside: Path, over: Mapping[str, Any] | None = None, toml: str | None = None) -> Config:
    """What enfilade.toml says, and what a plan says over it; `toml` is that file where it is not the app's."""
    from enfilade.config import load

    with start_errors():
        return load(Path(toml) if toml else near(beside, "enfilade.toml"), over=over)


def near(beside: Path, name: str) -> Path:
    """A file of the app: that of the working folder, or else the one beside app.py."""
    file = Path(name)
    return file if file.exists() else beside / file


def _find(here: Path) -> tuple[str, Path]:
    """The app that pyproject.toml names, or the only one there is, and the folder to import it from."""
    if (named := _named(here / "pyproject.toml")) is not None:
        return named, _root(named, here)
    if _makes_an_app(here / "app.py") and f"from {here.name}." in (here / "app.py").read_text("utf-8"):
        return f"{here.name}.app:app", here.parent  # the working folder is itself the package
    found: list[tuple[str, Path]] = []
    for folder in (here, here / "src"):
        candidates = [folder / "app.py", *sorted(folder.glob("*/app.py"))]
        for file in candidates:
            inside = file.parent.name if file.parent != folder else ""
            if inside.startswith(".") or inside in _ELSEWHERE or not _makes_an_app(file):
                continue
            found.append((f"{inside}.app:app" if inside else "app:app", folder))
    if not found:
        what = f"there is no app in {here}."
        raise Refused(
            what, "Go to the folder of a project, say which app (shop.app:app), or make one: enfilade new NAME"
        )
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        remedy = f'Say which one, or write app = "{found[0][0]}" under [tool.enfilade] in pyproject.toml.'
        raise Refused(f"there is more than one app here: {names}.", remedy)
    return found[0]


def _root(name: str, here: Path) -> Path:
    """Where the package of a named app lies: this folder, or `src` in it."""
    package = re.split("[.:]", name)[0]
    return here / "src" if (here / "src" / package).exists() else here


def _named(pyproject: Path) -> str | None:
    try:
        tools: dict[str, Any] = tomllib.loads(pyproject.read_text("utf-8")).get("tool", {})
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as wrong:
        raise Refused(f"pyproject.toml cannot be read: {wrong}.", "Mend it, or say which app.") from wrong
    own: object = tools.get("enfilade", {})
    named = cast("dict[str, object]", own).get("app") if isinstance(own, dict) else None
    return named if isinstance(named, str) else None


def _makes_an_app(file: Path) -> bool:
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError):
        return False
    return "enfilade" in text and "App(" in text


def _import(name: str) -> Any:
    importlib.invalidate_caches()
    try:
        with start_errors():
            return importlib.import_module(name)
    except Refused:
        raise
    except ModuleNotFoundError as missing:
        if missing.name and (name == missing.name or name.startswith(f"{missing.name}.")):
            what = f"there is no module {missing.name} in {sys.path[0]}."
            raise Refused(what, "Go to the folder of the project, or install it.") from missing
        remedy = "Install it in the environment that runs enfilade, or mend the import."
        raise Refused(f"{name} cannot be imported: {missing}{_place(missing)}.", remedy) from missing
    except Exception as failed:  # a module may do anything while it is imported
        what = f"{name} cannot be imported: {type(failed).__name__}: {failed}{_place(failed)}."
        raise Refused(what, "Mend what that line does.") from failed


def _place(error: BaseException) -> str:
    """` (shop/orders/contract.py:12)`: where the user's own code failed last."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({_short(error.filename)}:{error.lineno})"
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not _foreign(one.filename)]
    return f" ({_short(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""


def _foreign(file: str) -> bool:
    own = str(Path(__file__).parent.parent)
    return file.startswith((own, "<", sysconfig.get_path("stdlib"))) or "site-packages" in file


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
