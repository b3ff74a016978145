"""How often: the rates that contracts declare, as buckets in the edge's memory.

Held here is what fills evenly and counts calls: rates below an hour, for each caller, tenant, client, address, or for
everyone. Days and months, money and bytes, and what a plan allows are the services' to count, which count these again.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Final

from enfilade.contract.limit import Rate
from enfilade.edge.model import Edge, Json, Route
from enfilade.edge.who import CALLER, ISSUER, PARTY, TENANT

RATES: Final = "envoy.filters.http.local_ratelimit"
_REMEMBERED: Final = 10_000
"""Buckets that are remembered; the one used least lately is forgotten."""


def limits(edge: Edge) -> Json:
    """The filter with a bucket for each meter and each of those whom it counts."""
    found: dict[tuple[str, str], Json] = {}
    for route in edge.routes:
        for rate in _held(route):
            bucket = _bucket(rate, edge.gateways)
            for entries, _ in _counted(rate, edge):
                name = {"key": "meter", "value": meter(route, rate)}
                found[name["value"], str(entries)] = {"entries": [name, *entries], "token_bucket": bucket}
    everything = {"numerator": 100}
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "rates",
        "token_bucket": {"max_tokens": 2**31, "tokens_per_fill": 2**31, "fill_interval": "1s"},
        "always_consume_default_token_bucket": False,
        "filter_enabled": {"default_value": everything},
        "filter_enforced": {"default_value": everything},
        "max_dynamic_descriptors": _REMEMBERED,
        "enable_retry_after_header": True,
        "descriptors": list(found.values()),
    }


def counted(edge: Edge, route: Route) -> list[Json]:
    """Of which buckets a request to this route takes."""
    return [
        {
            "actions": [
                {"generic_key": {"descriptor_key": "meter", "descriptor_value": meter(route, rate)}},
                *actions,
            ],
        }
        for rate in _held(route)
        for _, actions in _counted(rate, edge)
    ]


def held(route: Route) -> Json:
    """What the filter is told about one route: to look at it at all."""
    config: Json = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}
    return {RATES: config} if any(_held(route)) else {}


def meter(route: Route, rate: Rate) -> str:
    """What operations of a service share which give their rates one name, and nobody else."""
    owner = f"{route.service}/{rate.name}" if rate.name else route.id
    return f"{owner}/{rate.per}/{rate.limit}/{rate.burst}/{rate.cost}"


def _held(route: Route) -> Iterator[Rate]:
    for rate in route.rates:
        quota = rate.quota()
        if quota.unit == "calls" and not (quota.calendar or rate.plan or rate.taken() < 1):
            yield rate


def _bucket(rate: Rate, gateways: int) -> Json:
    """Filled evenly with calls, each of which is `cost` units."""
    quota = rate.quota()
    return {
        "max_tokens": max(1, ceil((rate.burst or quota.amount) / gateways) // rate.taken()),
        "tokens_per_fill": max(1, ceil(quota.amount / gateways)),
        "fill_interval": f"{quota.seconds * rate.taken():g}s",
    }


def _counted(rate: Rate, edge: Edge) -> Iterator[tuple[list[Json], list[Json]]]:
    """Who is counted: what a bucket is found by, and what is looked at. Whom the edge cannot know is not counted."""
    address: Json = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
    if rate.per == "everyone":
        yield [], []
    elif rate.per == "address":
        yield [{"key": "masked_remote_address"}], [address]
    elif rate.per != "agent":
        if edge.checked:
            who = {"caller": CALLER, "tenant": TENANT, "client": PARTY}[rate.per]
            whose = [ISSUER] if len(edge.checked) > 1 else []
            yield [{"key": one} for one in (*whose, who)], [_said(one) for one in (*whose, who)]
        if not edge.others and rate.per == "caller":
            entry = {"key": "nobody", "value": "is-signed-in"}
            yield [entry, {"key": "masked_remote_address"}], [_nobody(entry), address]


def _nobody(entry: dict[str, str]) -> Json:
    """Found where a request has no token."""
    sent = {"name": "authorization", "present_match": True}
    found = {"descriptor_key": entry["key"], "descriptor_value": entry["value"]}
    return {"header_value_match": {**found, "expect_match": False, "headers": [sent]}}


def _said(name: str) -> Json:
    """What a token says, where it does."""
    return {"request_headers": {"header_name": name, "descriptor_key": name}}
