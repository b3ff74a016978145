"""A file of the user's program: its tree, and what its comments exempt.

    raise SoldOut()  # enfilade: allow[undeclared-problem] the old clients know it by its status

An exemption stands on the line of the finding, or alone on the line above it, and says why.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_ALLOW = re.compile(r"#\s*enfilade:\s*allow\[([^\]]*)\][ \t]*(.*)$")


@dataclass(frozen=True)
class Exemption:
    """One rule that one line may break."""

    line: int
    """Where the comment stands."""
    covers: int
    """The line that it is about."""
    rule: str
    reason: str


@dataclass(eq=False)
class Source:
    """One file."""

    path: Path
    module: str
    """`shop.orders.service`."""
    text: str
    tree: ast.Module

    def where(self, node: ast.AST) -> str:
        """`file:line` of a node."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"

    def exemptions(self) -> Iterator[Exemption]:
        for number, line in enumerate(self.text.splitlines(), start=1):
            if (match := _ALLOW.search(line)) is not None:
                covers = number + 1 if not line[: match.start()].strip() else number
                for rule in match[1].split(","):
                    yield Exemption(number, covers, rule.strip(), match[2].strip())


@dataclass(eq=False)
class Sources:
    """The files of one check, each read once."""

    found: dict[Path, Source | None] = field(default_factory=dict[Path, "Source | None"])

    def read(self, path: Path, module: str) -> Source | None:
        """A file and its tree, or None where it is not there or cannot be parsed (Python itself says why on import)."""
        if path not in self.found:
            self.found[path] = _parse(path, module)
        return self.found[path]

    def __iter__(self) -> Iterator[Source]:
        return (one for one in self.found.values() if one is not None)


def _parse(path: Path, module: str) -> Source | None:
    try:
        text = path.read_text("utf-8")
        return Source(path, module, text, ast.parse(text, filename=str(path)))
    except (OSError, SyntaxError, ValueError):
        return None
