"""Where one route leads: shares, variants, mirrors; how often it is asked, how long it may take, what it is told."""

from __future__ import annotations

import re
from typing import Final

from enfilade.edge.answers import TRACE, fields
from enfilade.edge.model import Edge, Json, Route
from enfilade.edge.rates import counted
from enfilade.edge.who import CALLER, SAID

CLIENT: Final = "enfilade-edge-client"
"""The client's address, for the services, which believe it: see `enfilade.endpoint.http1.OurEdge`."""
_FOREIGN: Final = ("authorization", "cookie", "x-api-key")
"""What is for our services only, and would let somebody else act as the caller."""
_SAFE: Final = "connect-failure,refused-stream,reset-before-request"
"""Failures after which nothing can have been done."""
_AGAIN: Final = 2
_PATIENT: Final = 22
"""Times that a process of ours is asked that is not there: about two seconds long, as services wait for one another."""


def forward(edge: Edge, route: Route, to: str = "") -> Json:
    """The action of a route; `to` sends everything to one upstream, whatever the shares say."""
    foreign = {one.name for one in edge.upstreams if one.foreign}
    action: Json = {
        "timeout": "0s" if route.idle else _seconds(route.timeout),
        "idle_timeout": _seconds(route.idle or route.timeout),
        "retry_policy": _retries(edge, route),
        "rate_limits": counted(edge, route),
        **_target(route, to, foreign),
    }
    if route.lasting not in (0.0, float("inf")):
        action["max_stream_duration"] = {"max_stream_duration": _seconds(route.lasting)}
    if route.rewrite:
        action["regex_rewrite"] = _rewritten(route)
    if route.upgrade:
        action["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    if route.mirrors:
        action["request_mirror_policies"] = [
            {
                "cluster": mirror.upstream,
                "runtime_fraction": {
                    "default_value": {"numerator": round(mirror.percent * 10_000), "denominator": "MILLION"}
                },
                "disable_shadow_host_suffix_append": True,
                "request_headers_mutations": [
                    {"append": {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
                    for key, value in mirror.fields.items()
                ]
                + [{"remove": name} for name in (CALLER, *_FOREIGN) if mirror.upstream in foreign],
            }
            for mirror in route.mirrors
        ]
    return action


def _target(route: Route, to: str, foreign: set[str]) -> Json:
    """One upstream, or several by their weights."""
    shares = [one for one in route.to if one.weight]
    if to or len(shares) == 1:
        name = to or shares[0].upstream
        return {"cluster": name, **({"auto_host_rewrite": True} if name in foreign else {})}
    weighted: Json = {
        "clusters": [
            {
                "name": one.upstream,
                "weight": one.weight,
                **({"request_headers_to_remove": list(_FOREIGN)} if one.upstream in foreign else {}),
            }
            for one in shares
        ]
    }
    target: Json = {"weighted_clusters": weighted}
    if foreign.intersection(one.upstream for one in shares):
        target["auto_host_rewrite"] = True
    if route.sticky:
        weighted["use_hash_policy"] = True
        target["hash_policy"] = [
            {"header": {"header_name": CALLER}, "terminal": True},
            {"connection_properties": {"source_ip": True}},
        ]
    return target


def _rewritten(route: Route) -> Json:
    """The path with another beginning, and never with two slashes or none."""
    base, new = (route.base or route.path).rstrip("/"), route.rewrite.rstrip("/")
    if new and base:
        return {"pattern": {"regex": f"^{re.escape(base)}"}, "substitution": new.replace("\\", r"\\")}
    return {"pattern": {"regex": f"^{re.escape(base)}/?"}, "substitution": f"{new}/"}


def added(edge: Edge, route: Route, to: str = "") -> list[Json]:
    """Header fields that our services are told by: who asks."""
    foreign = {one.name for one in edge.upstreams if one.foreign}
    names = {to} if to else {one.upstream for one in route.to}
    return [] if names <= foreign else fields({CLIENT: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"})


def removed(edge: Edge, route: Route, to: str = "") -> list[str]:
    """Header fields that go no further than the edge. The log has who calls as it went on: to nobody else than ours."""
    foreign = {one.name for one in edge.upstreams if one.foreign}
    names = {to} if to else {one.upstream for one in route.to}
    ours = () if names & foreign else (CALLER,)
    return [TRACE, *(one for one in SAID if one not in ours), *(_FOREIGN if names <= foreign else ())]


def _retries(edge: Edge, route: Route) -> Json:
    """Again where nothing can have been done; a query also where it may have been. Elsewhere, if there is one."""
    asked = [one for one in edge.upstreams if one.name in route.upstreams]
    again: Json = {
        "retry_on": f"{_SAFE},reset" if route.repeatable else _SAFE,
        "num_retries": _PATIENT if all(one.alone for one in asked) else _AGAIN,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
    }
    if any(len(one.at) > 1 for one in asked):
        kind = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        named = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": kind}}
        # The balancer throws dice each time: of two processes, after three, the one that failed would often be asked.
        again |= {"retry_host_predicate": [named], "host_selection_retry_max_attempts": 16}
    return again


def _seconds(many: float) -> str:
    return f"{many:.3f}s"
