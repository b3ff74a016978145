"""What the client can take: `Accept` and `Accept-Encoding` (RFC 9110, 12.5). Clients send few of them: cached."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=512)
def accepted(accept: bytes, offers: tuple[str, ...]) -> str | None:
    """The offer that the client likes best, the first of equals; None where it takes none."""
    ranges = _weighed(accept)
    best, liking = None, 0.0
    for offer in offers:
        kind = offer.partition("/")[0]
        said = (ranges.get(name) for name in (offer, f"{kind}/*", "*/*"))
        weight = next((weight for weight in said if weight is not None), 0.0)
        if weight > liking:
            best, liking = offer, weight
    return best


@lru_cache(maxsize=512)
def takes_gzip(accept_encoding: bytes) -> bool:
    """Whether an answer may be sent with `Content-Encoding: gzip`."""
    codings = _weighed(accept_encoding)
    return codings.get("gzip", codings.get("x-gzip", codings.get("*", 0.0))) > 0


def _weighed(field: bytes) -> dict[str, float]:
    """The members of a list with their weight `q`; one that cannot be read weighs nothing."""
    found: dict[str, float] = {}
    for member in field.decode("latin-1").lower().split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = min(max(float(parameter[2:]), 0.0), 1.0)
                except ValueError:
                    weight = 0.0
        if name:
            found[name] = max(weight, found.get(name, 0.0))
    return found
