"""Who may call: tokens are verified before a request goes on, and needs are asked as far as a token answers them.

What a token says goes from filter to filter in header fields of ours, which nobody outside may send. Its whole content,
as Envoy can keep it, costs more than all that is asked of it: it is kept where roles are asked for, which are lists.

The edge refuses nothing that a service would serve. What it cannot know (a rule, a fresh log-in, whether a token was
taken back) it takes for granted, since the service asks everything again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from enfilade.contract.door import Words
from enfilade.contract.need import AllOf, AnyOf, Need, OwnerNeed, Role, Scope, SignedIn, anyone, parts
from enfilade.contract.rule import Rule
from enfilade.edge.clusters import host_of, jwks_cluster
from enfilade.edge.model import Edge, Json, Route, key_of
from enfilade.identity import Issuer

KNOWN: Final = "known"
"""A good token, or 401."""
MAYBE: Final = "maybe"
"""No token, or a good one."""
CALLER: Final = "enfilade-edge-caller"
"""Who calls, for whoever counts him, chooses a share for him, or writes him down."""
ISSUER: Final = "enfilade-edge-issuer"
"""Whose word that is, where there is more than one."""
TENANT: Final = "enfilade-edge-tenant"
PARTY: Final = "enfilade-edge-party"
"""The client that calls for him."""
SCOPES: Final = "enfilade-edge-scopes"
"""Words; a list of them has a form (base64) that is not looked into here."""
SAID: Final = (CALLER, ISSUER, TENANT, PARTY, SCOPES)
TOKENS: Final = "envoy.filters.http.jwt_authn"
"""The metadata that verified tokens are kept in, by their issuer."""

_REMEMBERED: Final = 1000
"""Tokens whose signature need not be checked again; without it checking would halve the throughput."""
_LONGEST: Final = 8192
"""Characters of a token, as the services have it."""
_KEPT: Final = "600s"
"""After which an issuer's keys are fetched again."""


def tokens(edge: Edge) -> Json:
    """The filter that verifies tokens. One that it does not understand goes on to the service, unless all are known."""
    lenient: Json = {"allow_missing": {}} if edge.verified else {"allow_missing_or_failed": {}}
    providers: dict[str, Json] = {}
    requirements: dict[str, Json] = {}
    for whole in sorted({_roles(route) for route in edge.routes} | {""}):
        for issuer in edge.checked:
            kept = {"payload_in_metadata": key_of(issuer)} if whole else {}
            providers[key_of(issuer) + whole] = {**_provider(issuer, edge), **kept}
        any_of = [{"provider_name": key_of(issuer) + whole} for issuer in edge.checked]
        known = {"requires_any": {"requirements": any_of}} if len(any_of) > 1 else (any_of or [lenient])[0]
        maybe = {"requires_any": {"requirements": [*any_of, lenient]}} if any_of else lenient
        requirements |= {KNOWN + whole: known, MAYBE + whole: maybe}
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": providers,
        "requirement_map": requirements,
    }


def _needed(edge: Edge) -> list[str]:
    """The fields that some filter looks at."""
    counted = {rate.per for route in edge.routes for rate in route.rates}
    scoped = any(isinstance(part, Scope) for route in edge.routes for part in parts(route.need or anyone))
    used = {ISSUER: len(edge.checked) > 1, TENANT: "tenant" in counted, PARTY: "client" in counted, SCOPES: scoped}
    return [CALLER, *(name for name, needed in used.items() if needed)]


def _roles(route: Route) -> str:
    """What the names of providers and requirements end with that keep a token's content, where roles are asked for."""
    return "-roles" if any(isinstance(part, Role) for part in parts(route.need or anyone)) else ""


def _provider(issuer: Issuer, edge: Edge) -> Json:
    said = issuer.claims
    tenant = said.tenant or ("" if issuer.tenant else "tenant")
    places = {CALLER: [said.subject], ISSUER: ["iss"], TENANT: [tenant] if tenant else [], PARTY: said.client[:1]}
    places[SCOPES] = list(said.scopes)
    made: Json = {
        "issuer": issuer.url,
        "forward": True,
        # Three ways to write it; without any, tokens would be taken from the address, too (`?access_token=`).
        "from_headers": [
            {"name": "Authorization", "value_prefix": f"{word} "} for word in ("Bearer", "bearer", "BEARER")
        ],
        "require_expiration": True,
        "clock_skew_seconds": int(issuer.skew),
        "claim_to_headers": [
            {"header_name": name, "claim_path": [{"key": key} for key in place_of(place)]}
            for name in _needed(edge)
            for place in places[name]
        ],
        "jwt_cache_config": {"jwt_cache_size": _REMEMBERED, "jwt_max_token_size": _LONGEST},
    }
    if any(route.sticky for route in edge.routes):
        made["clear_route_cache"] = True  # a share is chosen by who calls: the route is looked for again
    if issuer.claims.audience == "aud":
        made["audiences"] = list(issuer.audiences)
    if issuer.jwks_url:
        made["remote_jwks"] = {
            "http_uri": {"uri": issuer.jwks_url, "cluster": jwks_cluster(issuer.jwks_url, edge), "timeout": "5s"},
            "cache_duration": _KEPT,
            "async_fetch": {"fast_listener": True},
        }
    else:
        keys = Path(issuer.jwks_file).read_text("utf-8") if issuer.jwks_file else ""
        made["local_jwks"] = {"inline_string": keys or msgspec.json.encode({"keys": issuer.keys}).decode()}
    return made


def asked(edge: Edge, route: Route) -> Json:
    """What the filters are told about one route: which tokens, and what they must say."""
    if route.need is None:
        return {
            TOKENS: {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
                "disabled": True,
            }
        }
    strict = edge.verified and not edge.others and caller_needed(route.need)
    told: Json = {
        TOKENS: {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
            "requirement_name": (KNOWN if strict else MAYBE) + _roles(route),
        }
    }
    if any(isinstance(part, Scope | Role) for part in parts(route.need)):
        meets = _meets(route.need, edge)
        if edge.others or not edge.verified:  # nobody that a token names: somebody else may know him
            meets = _either([{"not_id": {"header": {"name": CALLER, "present_match": True}}}, meets])
        told["envoy.filters.http.rbac"] = {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
            "rbac": {"rules": {"policies": {"needs": {"permissions": [{"any": True}], "principals": [meets]}}}},
        }
    return told


def caller_needed(need: Need) -> bool:
    """Whether nobody meets it who is not signed in."""
    match need:
        case AllOf():
            return any(map(caller_needed, need.needs))
        case AnyOf():
            return all(map(caller_needed, need.needs))
        case Rule() | Words():
            return need.knows
        case _:
            return isinstance(need, SignedIn | OwnerNeed | Scope | Role)


def _meets(need: Need, edge: Edge) -> Json:
    """A principal that whoever meets the need is, and as few others as can be told."""
    match need:
        case AllOf():
            return {"and_ids": {"ids": [_meets(one, edge) for one in need.needs]}}
        case AnyOf():
            return _either([_meets(one, edge) for one in need.needs])
        case Scope():
            word = rf"(?s)(.*[\s,])?{re.escape(need.name)}([\s,].*)?|{_LIST}"
            return {"header": {"name": SCOPES, "string_match": {"safe_regex": {"regex": word}}}}
        case Role():
            listed = {"list_match": {"one_of": {"string_match": {"exact": need.name}}}}
            places = [(issuer, place_of(place)) for issuer in edge.checked for place in issuer.claims.roles]
            return _either([_says(issuer, place, listed) for issuer, place in places])
        case _:
            return {"any": True}


_LIST: Final = r"(.*,)?Wy[I-L].*"
"""A list of words: `["` in base64."""


def _either(ids: list[Json]) -> Json:
    return {"or_ids": {"ids": ids}} if ids else {"not_id": {"any": True}}


def _says(issuer: Issuer, place: list[str], value: Json) -> Json:
    path = [{"key": key} for key in (key_of(issuer), *place)]
    return {"sourced_metadata": {"metadata_matcher": {"filter": TOKENS, "path": path, "value": value}}}


def place_of(name: str) -> list[str]:
    """Where a claim stands in a token: see `Claims`."""
    return [name] if "." not in name or ":" in name or "/" in name else name.split(".")


def fetched(edge: Edge) -> list[str]:
    """Where keys are fetched from, if not from an upstream."""
    return sorted({one.jwks_url for one in edge.checked if one.jwks_url} - edge.keys.keys(), key=host_of)
