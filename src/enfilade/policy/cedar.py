"""Cedar (cedarpolicy.com) decides about calls that the contracts allow, by policies that lie in one folder.

    app = App("shop", services=[...], policy=cedar("policies"))

Policies are read and checked when the app starts. As ever in Cedar, a call is allowed where a policy permits it and
none forbids it; whatever they say, nothing is allowed that a contract does not allow.
"""

# cedarpy says `dict` without what is in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from enfilade.call import Call
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.principal import Principal
from enfilade.errors import Finding, StartError
from enfilade.guard import Decide, Decision, Policy
from enfilade.policy.facts import Facts, caller
from enfilade.policy.render import schema_of

if TYPE_CHECKING:
    from enfilade.policy.files import Written

log = logging.getLogger("enfilade.policy")

_CALLERS: Final = 1024
"""Callers whose entities are kept parsed."""


@dataclass(frozen=True)
class Cedar:
    """Policies in a folder, not read yet."""

    folder: Path

    def open(self, contracts: Sequence[Contract]) -> Policy:
        """Reads them, for these contracts. Raises StartError with all that is wrong."""
        try:
            from enfilade.policy.files import read_policies
        except ImportError as missing:
            what = f"policies in Cedar need a package that is not here: {missing}."
            finding = Finding(str(self.folder), what, "Install it: pip install 'enfilade[cedar]'", "policy")
            raise StartError([finding]) from missing
        return _Policies(read_policies(self.folder, schema_of(contracts)), contracts)


def cedar(folder: str | Path) -> Cedar:
    """The policies in the `*.cedar` files of a folder."""
    return Cedar(Path(folder))


class _Policies:
    def __init__(self, policies: Sequence[Written], contracts: Sequence[Contract]) -> None:
        self._policies = policies
        self._known = {operation.id for contract in contracts for operation in contract.operations}

    def of(self, operation: Operation) -> Decide | None:
        if operation.id not in self._known:
            return None  # a handler of events, or a timer: nobody calls it
        about = [one for one in self._policies if one.about(operation.id, (operation.service,))]
        return _decide(Facts(operation), about)


def _decide(facts: Facts, policies: Sequence[Written]) -> Decide:
    """Only the policies that may be about the operation are looked at, which is what most of a decision costs."""
    import cedarpy

    written: dict[str, Any] = {
        "staticPolicies": {one.name: one.body for one in policies},
        "templates": {},
        "templateLinks": [],
    }
    parsed = cedarpy.PolicySet.from_json_str(json.dumps(written))
    nobody = cedarpy.Entities.from_json_str('[{"uid": {"type": "Nobody", "id": ""}, "attrs": {}, "parents": []}]')

    @lru_cache(_CALLERS)
    def known(principal: Principal) -> cedarpy.Entities:
        return cedarpy.Entities.from_json_str(caller(principal))

    def decide(call: Call) -> Decision:
        request, entities = facts.request(call)
        who = nobody if call.caller is None else known(call.caller)
        result = cedarpy.is_authorized(request, parsed, who.with_added_json_str(entities))
        if result.diagnostics.errors:  # Cedar would leave a policy out that cannot be evaluated, a forbidding one too
            log.error("no policy decides about %s: %s", call.operation.id, "; ".join(result.diagnostics.errors))
            return Decision(False, ())
        return Decision(result.allowed, tuple(sorted(result.diagnostics.reasons)))

    return decide
