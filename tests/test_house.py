"""The house: public names are few and known, and every room is small."""

from __future__ import annotations

import ast
from pathlib import Path

import enfilade
from enfilade import service

ROOT = Path(__file__).parents[1]

CONTRACT = """
    FIRST UNSET App Blob Body DeadlineExceeded Deprecated Event Flow Fresh Header Key Level Maybe Message Meta Money
    Named Offset Owner Page Paging Principal Problem Rate Role Scope Sensitive Slice Stream Unavailable Version
    acting any_tenant anyone command contract current deadline new_id peers query rule signed_in
"""
SERVICE = """
    Answered Blobs Blocked Clock Database Encrypted Http Index Key Owned Passwords Processes Row Secret Sessions
    Settings Stale Table Taken Threads Topic Unique Version acting atomic current deadline every new_id on where
"""


def test_a_contract_says_all_with_these_names() -> None:
    assert sorted(enfilade.__all__) == sorted(CONTRACT.split())
    assert all(hasattr(enfilade, name) for name in CONTRACT.split())


def test_an_implementation_takes_all_from_these_names() -> None:
    assert sorted(service.__all__) == sorted(SERVICE.split())
    assert all(hasattr(service, name) for name in SERVICE.split())


def test_no_module_is_longer_than_400_lines() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for file in (ROOT / "src").rglob("*.py")
        if (lines := len(file.read_text("utf-8").splitlines())) > 400
    }

    assert long == {}


def test_each_module_says_what_it_is_for() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "src").rglob("*.py")
        if not ast.get_docstring(ast.parse(file.read_text("utf-8")))
    ]

    assert silent == []


def test_each_folder_has_its_page_and_its_tests() -> None:
    pages = {"endpoint": "rest", "govern": "check"}
    folders = [one.name for one in (ROOT / "src/enfilade").iterdir() if (one / "__init__.py").exists()]

    assert len(folders) == 16
    assert [one for one in folders if not (ROOT / "docs" / f"{pages.get(one, one)}.md").exists()] == []
    assert [one for one in folders if not (ROOT / "tests" / one).is_dir()] == []
