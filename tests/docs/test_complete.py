"""What a user can say, set, see or be told is in the pages."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import enfilade.errors
from enfilade import App, Deprecated, Flow, Level, Rate, command, contract, query, service
from enfilade.config import AuditConfig, Config, OutboundConfig, SessionConfig, TraceConfig
from enfilade.endpoint import Cors, rest
from enfilade.identity import Claims, Issuer
from enfilade.identity.provider import ProviderSettings
from enfilade.plan.arrangement import Arrangement, Process, Stores
from enfilade.plan.edge import Beyond, Edge, Often
from enfilade.store import Database, Table
from enfilade.testing import Bench, Caller, Stage

ROOT = Path(__file__).parents[2]
PAGES = {page.name: page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md")}
ALL = "\n".join(PAGES.values())

SETTINGS = [
    (page, field.encode_name)
    for page, kind in (
        ("configuration.md", Config),
        ("configuration.md", TraceConfig),
        ("configuration.md", OutboundConfig),
        ("configuration.md", AuditConfig),
        ("configuration.md", SessionConfig),
        ("plan.md", Arrangement),
        ("plan.md", Process),
        ("plan.md", Stores),
        ("edge.md", Edge),
        ("edge.md", Beyond),
        ("edge.md", Often),
        ("identity.md", Issuer),
        ("provider.md", ProviderSettings),
        ("identity.md", Claims),
    )
    for field in msgspec.structs.fields(kind)
]
PROBLEMS = [
    name
    for name, thing in vars(enfilade.errors).items()
    if isinstance(thing, type) and issubclass(thing, Exception) and not name.startswith("_")
]
OPTIONS = [
    (page, of.__qualname__, name)
    for page, ofs in {
        "contract.md": (contract, query, command, Rate, Flow, Level, Deprecated),
        "app.md": (App.__init__,),
        "rest.md": (rest, Cors),
        "testing.md": (Bench.__init__, Stage.__init__, Stage.acting),
    }.items()
    for of in ofs
    for name in inspect.signature(of).parameters
    if name not in ("self", "service", "app")
]
METHODS = [
    (page, kind.__name__, name)
    for page, kinds in {"app.md": (App,), "store.md": (Table, Database), "testing.md": (Stage, Bench, Caller)}.items()
    for kind in kinds
    for name, thing in vars(kind).items()
    if not name.startswith("_") and (callable(thing) or isinstance(thing, property))
]


def in_code(page: str, word: str) -> bool:
    """Whether a page has a word in its code: `word`, `word=`, `x.word(...)`."""
    return re.search(rf"`[^`\n]*(?<![\w-]){re.escape(word)}\b[^`\n]*`", page) is not None


@pytest.mark.parametrize("name", enfilade.__all__)
def test_each_word_of_a_contract_is_documented(name: str) -> None:
    assert in_code(PAGES["contract.md"], name)


@pytest.mark.parametrize("name", service.__all__)
def test_each_word_of_a_service_is_documented(name: str) -> None:
    assert in_code(ALL, name)


@pytest.mark.parametrize(("page", "name"), SETTINGS)
def test_each_setting_is_documented(page: str, name: str) -> None:
    assert f"`{name}`" in PAGES[page]


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_error_of_the_platform_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGES["errors.md"]


@pytest.mark.parametrize(("page", "of", "name"), OPTIONS)
def test_each_option_is_documented(page: str, of: str, name: str) -> None:
    assert in_code(PAGES[page], name)


@pytest.mark.parametrize(("page", "kind", "name"), METHODS)
def test_each_method_is_documented(page: str, kind: str, name: str) -> None:
    assert in_code(PAGES[page], name)


# -- what can be seen of a running app: names that stand in the sources


def calls(*names: str) -> Iterator[tuple[ast.Module, ast.Call]]:
    for file in (ROOT / "src").rglob("*.py"):
        module = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and node.args:
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in names:
                    yield module, node


def told(module: ast.Module, name: ast.expr) -> str:
    """A name as the pages write it: `f"publish {self.name}"` is `publish <name>`."""
    if isinstance(name, ast.Constant):
        return str(name.value)
    if isinstance(name, ast.JoinedStr):
        parts = [
            f"<{ast.unparse(part.value).rpartition('.')[2]}>"
            if isinstance(part, ast.FormattedValue)
            else told(module, part)
            for part in name.values
        ]
        return "".join(parts)
    made = (node.value for node in ast.walk(module) if isinstance(node, ast.Assign) and same(node.targets[0], name))
    value = next(made, None)
    return "" if value is None else told(module, value)


def same(one: ast.expr, other: ast.expr) -> bool:
    return ast.unparse(one) == ast.unparse(other)


def names_given_to(*functions: str) -> list[str]:
    """The names that the sources give; what somebody else gives is not among them."""
    return sorted({told(module, call.args[0]) for module, call in calls(*functions)} - {""})


@pytest.mark.parametrize("name", names_given_to("counter", "gauge", "histogram"))
def test_each_metric_is_documented(name: str) -> None:
    assert re.search(rf"`{name}[`{{]", ALL)


@pytest.mark.parametrize("name", names_given_to("span", "phase"))
def test_each_span_and_phase_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGES["trace.md"]


@pytest.mark.parametrize("name", [name for name in names_given_to("getLogger") if name.startswith("enfilade")])
def test_each_logger_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGES["trace.md"]
