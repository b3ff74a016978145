"""Text from outside, on one line of ours."""

from __future__ import annotations

from typing import Final

_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", 0x2028: "\\u2028", 0x2029: "\\u2029",
}  # fmt: skip


def one_line(text: str) -> str:
    """The text with all that starts lines or steers terminals made visible."""
    return text.translate(_CONTROL)
