"""Routes to what is not ours: a system that was there before, or a partner's, behind the same guards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from enfilade.contract.limit import Rate, size
from enfilade.contract.need import AllOf, Need, Role, Scope, anyone, signed_in
from enfilade.edge import Route, Share, Upstream
from enfilade.plan.edge import Beyond, Edge, Often

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")


def beyond(name: str, said: Beyond) -> tuple[Upstream, tuple[Route, ...]]:
    """Somebody else, and what is passed on to him. Raises ValueError, and OSError where his description is missing."""
    urls = (said.to,) if isinstance(said.to, str) else said.to
    parts = [urlsplit(url) for url in urls]
    for url, one in zip(urls, parts, strict=True):
        if one.scheme not in ("http", "https") or not one.netloc or one.query or one.fragment or "@" in one.netloc:
            raise ValueError(f"{url!r} is no address: write one such as https://legacy.example/old")
    if len({(one.scheme, one.path) for one in parts}) > 1:
        raise ValueError(f"{' and '.join(urls)} are not alike: their scheme and their path have to be the same")
    upstream = Upstream(
        name=f"beyond:{name}", at=tuple(f"{one.scheme}://{one.netloc}" for one in parts), foreign=True, probe=""
    )
    path, new = said.path.rstrip("/"), parts[0].path.rstrip("/")
    whole = Route(
        id=name,
        path=path or "/",
        below=True,
        methods=tuple(one.upper() for one in said.methods),
        to=(Share(upstream=upstream.name),),
        need=_need(said),
        rates=tuple(_rate(one, name) for one in said.rates),
        service=name,
        body=size(said.body) if said.body else 0,
        timeout=said.timeout,
        base=path or "/",
        rewrite="" if path == new else new or "/",
    )
    return upstream, tuple(_known(whole, Path(said.openapi), path)) if said.openapi else (whole,)


def wrong_with(edge: Edge) -> Iterator[tuple[str, str, str]]:
    """Which key is wrong, what of it, and the remedy."""
    for name, said in edge.route.items():
        try:
            beyond(name, said)
        except (OSError, ValueError) as wrong:
            yield f"route.{name}", f"{wrong}.", "Correct it, or leave the route out."


class _Described(msgspec.Struct):
    """A description, as far as it is looked at (OpenAPI 3.1, 4.8.1)."""

    openapi: str
    paths: Mapping[str, Mapping[str, Any]]


def _known(whole: Route, file: Path, path: str) -> Iterator[Route]:
    """A route for each address that a description knows."""
    try:
        described = msgspec.json.decode(file.read_bytes(), type=_Described)
    except msgspec.MsgspecError as wrong:
        raise ValueError(f"{file} is no OpenAPI document in JSON: {wrong}") from wrong
    if not described.paths:
        raise ValueError(f"{file} knows no paths")
    for address, item in described.paths.items():
        for method in _METHODS:
            if method in item:
                route = f"{path}{address}" if address != "/" else path or "/"
                id = f"{whole.id} {method.upper()} {address}"
                yield replace(
                    whole, id=id, path=route, below=False, methods=(method.upper(),), repeatable=method == "get"
                )


def _need(said: Beyond) -> Need:
    needs = (*map(Scope, said.scopes), *map(Role, said.roles))
    if len(needs) > 1:
        return AllOf(needs)
    return needs[0] if needs else signed_in if said.needs == "signed in" else anyone


def _rate(said: str | Often, name: str) -> Rate:
    """Of all that the route leads to together."""
    made = Rate(said, name=name) if isinstance(said, str) else Rate(said.limit, said.per, said.burst, name=name)
    quota = made.quota()
    if quota.calendar or quota.unit != "calls":
        raise ValueError(f"{made.limit!r} is not counted at the edge, which counts calls, in less than an hour")
    return made
