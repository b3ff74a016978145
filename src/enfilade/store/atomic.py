"""The unit of work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., Awaitable[object]])


def atomic(method: F) -> F:
    """One unit of work: what the method changes and publishes is stored together, or not at all."""
    return method
