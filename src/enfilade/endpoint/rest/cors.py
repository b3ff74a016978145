"""Which pages of other origins may call from a browser (the Fetch standard, CORS protocol)."""

from __future__ import annotations

from dataclasses import dataclass

from enfilade.endpoint.http import Headers, Request
from enfilade.endpoint.rest.fields import Line, line

_EXPOSED = (
    "Content-Disposition, Deprecation, ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, "
    "Retry-After, Sunset, Trace-Id, WWW-Authenticate"
)
_ASKED = (
    "Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "If-Range",
    "Last-Event-ID", "Range", "traceparent", "tracestate",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cors:
    """Origins that may call, such as `Cors(origins=("https://shop.example",))`; `("*",)` is every page there is."""

    origins: tuple[str, ...]
    credentials: bool = False
    """Whether a browser may send cookies along; not with `"*"`. Bearer tokens need no such leave."""
    max_age: int = 600
    """Seconds that a browser may remember the answer to its preflight."""

    def __post_init__(self) -> None:
        if self.credentials and "*" in self.origins:
            raise ValueError(
                'Cors: credentials for every origin is no protection at all: name the origins instead of "*"'
            )
        for origin in self.origins:
            if origin != "*" and (origin.count("/") != 2 or "://" not in origin):
                raise ValueError(f"Cors: an origin is written like https://shop.example, not {origin!r}")

    def lines(self, request: Request) -> list[Line]:
        """The fields for an answer to this request; none where its origin has no leave."""
        origin = request.header(b"origin")
        if not origin or not ("*" in self.origins or origin in self.origins):
            return []
        lines = [line("access-control-allow-origin", "*" if "*" in self.origins else origin)]
        if self.credentials:
            lines.append((b"access-control-allow-credentials", b"true"))
        return lines

    def exposed(self, request: Request) -> list[Line]:
        """The same for an answer that the page reads, with the fields that it may see."""
        lines = self.lines(request)
        return [*lines, line("access-control-expose-headers", _EXPOSED)] if lines else []

    def preflight(self, request: Request, methods: tuple[str, ...], headers: tuple[str, ...]) -> Headers:
        """The fields of the answer to a preflight, for an address with these methods and declared headers."""
        lines = self.lines(request)
        if not lines or not request.header(b"access-control-request-method"):
            return []
        return [
            *lines,
            line("access-control-allow-methods", ", ".join(methods)),
            line("access-control-allow-headers", ", ".join((*_ASKED, *headers))),
            line("access-control-max-age", str(self.max_age)),
        ]
