"""A decision by central policies over cedarpy alone, with the same policies, parsed once, and the same request.

CPU of the process per decision, both sides interleaved, the minimum of the rounds.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1] / "examples")  # here, `shop` would be the bench of that name
sys.path.insert(0, str(Path(__file__).parent / "support"))

import cedarpy
from claims import Claim, tell

from enfilade import Principal
from enfilade.call import Call
from enfilade.clock import SystemClock
from enfilade.contract.read import read
from enfilade.policy import cedar, policies_of
from enfilade.policy.facts import Facts, caller
from shop.app import app

ROUNDS = 30
COUNT = 200

CENTRAL = """
@id("no-bulk") forbid (principal, action == Action::"orders.place", resource) when { context.peer == "night" };
@id("own-tenant") forbid (principal is Caller, action, resource) when { principal.tenant != resource.tenant };
"""


def timed(decide: Callable[[], object]) -> float:
    """CPU microseconds of one decision."""
    start = time.process_time()
    for _ in range(COUNT):
        decide()
    return (time.process_time() - start) * 1e6 / COUNT


def main() -> list[Claim]:
    contracts = [read(kind) for kind in app.services]
    operation = next(one for contract in contracts for one in contract.operations if one.id == "orders.order")
    text = policies_of(contracts, lambda _: ("cart", "orders")) + CENTRAL
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "all.cedar").write_text(text)
        decide = cedar(folder).open(contracts).of(operation)
    assert decide is not None
    ann = Principal(subject="ann", tenant="acme", scopes=frozenset({"orders:write"}), roles=frozenset({"customer"}))
    call = Call(operation, {"id": "ord_1"}, SystemClock(), 0.0, caller=ann, tenant="acme")

    request, entities = Facts(operation).request(call)
    parsed = cedarpy.PolicySet.from_str(text)
    known = [*json.loads(caller(ann)), *json.loads(entities)]
    once = cedarpy.Entities.from_json_str(json.dumps(known))
    assert decide(call).allowed
    assert cedarpy.is_authorized(request, parsed, known).allowed

    ours = listed = alone = float("inf")
    for _ in range(ROUNDS):
        ours = min(ours, timed(lambda: decide(call)))
        listed = min(listed, timed(lambda: cedarpy.is_authorized(request, parsed, known)))
        alone = min(alone, timed(lambda: cedarpy.is_authorized(request, parsed, once)))
    return [
        Claim("a decision over cedarpy alone, policies and entities parsed once", ours / alone, "times", "<= 1.5"),
        Claim("a decision over cedarpy alone, policies parsed once", ours / listed, "times", "<= 1.5"),
        Claim("a decision, with what is told of the call", ours, "us CPU", ""),
        Claim("cedarpy alone, policies and entities parsed once", alone, "us CPU", ""),
    ]


tell(main())
