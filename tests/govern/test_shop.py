"""A real app of eleven services has nothing to mend: no rule sees mistakes where there are none."""

from __future__ import annotations

from pathlib import Path

from enfilade.config import load
from enfilade.govern import check


def test_nothing_is_found_in_the_shop() -> None:
    from shop.app import app

    report = check(app, load(Path(__file__).parents[2] / "examples/shop/enfilade.toml", {}))

    assert report.findings == ()
    assert report.services == 15
