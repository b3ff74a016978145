"""What a user can set, see or be told is in the pages."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import enfilade.errors
from enfilade import Problem, service
from enfilade.config import Config, TraceConfig

ROOT = Path(__file__).parents[2]
PAGES = "\n".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))

SETTINGS = [field.name for kind in (Config, TraceConfig) for field in msgspec.structs.fields(kind)]
PROBLEMS = [
    name
    for name, thing in vars(enfilade.errors).items()
    if isinstance(thing, type) and issubclass(thing, Problem) and thing is not Problem
]


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGES


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_of_the_platform_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGES


@pytest.mark.parametrize("name", enfilade.__all__)
def test_each_word_of_a_contract_is_documented(name: str) -> None:
    assert name in PAGES


@pytest.mark.parametrize("name", service.__all__)
def test_each_word_of_a_service_is_documented(name: str) -> None:
    assert name in PAGES
