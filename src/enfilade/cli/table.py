"""Records as columns of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click


def table(records: Sequence[Mapping[str, str]], empty: str = "Nothing.") -> str:
    """One record a line, under the names of its fields."""
    if not records:
        return empty
    names = list(records[0])
    widths = [max(len(name), *(len(one[name]) for one in records)) for name in names]
    head = "  ".join(
        click.style(name.upper().ljust(width), bold=True) for name, width in zip(names, widths, strict=True)
    )
    rows = (
        "  ".join(one[name].ljust(width) for name, width in zip(names, widths, strict=True)).rstrip() for one in records
    )
    return "\n".join([head.rstrip(), *rows])
