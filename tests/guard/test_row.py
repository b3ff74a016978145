"""All stations together: what a call passes, and what of it stands in a traceback."""

from __future__ import annotations

import logging
import traceback
from types import SimpleNamespace
from typing import Any

import pytest

from enfilade.call import Handler, Principal, row
from enfilade.contract.limit import Rate
from enfilade.contract.need import Scope
from enfilade.contract.operation import Operation
from enfilade.errors import Forbidden, TooManyRequests, Unauthenticated
from enfilade.guard import Bulkhead, Meters, audit, deadline, idempotency, identity, needs, raises
from enfilade.identity import DevelopmentIssuer, Tokens, Verifier

WRITER = Principal(subject="alice", scopes=frozenset({"orders:write"}))


def guarded(bench: Any, operation: Operation, last: Handler, verifier: Verifier | None = None) -> Handler:
    stations = (
        audit(),
        identity(verifier or Verifier([], bench.clock)),
        needs(lambda service: {"orders", "cart", "shop", "peer"}),
        Meters(bench.clock).station,
        deadline(),
        Bulkhead(8).station,
        idempotency(),
        raises(),
    )
    return row(operation, stations, last)


async def test_a_call_is_refused_at_the_first_station_that_has_a_reason(bench: Any) -> None:
    issuer = DevelopmentIssuer(None, "shop")
    tokens, verifier = Tokens(issuer, bench.clock), Verifier([issuer.issuer], bench.clock)
    operation = bench.operation("buy", needs=Scope("orders:write"), rates=(Rate("1/minute"),))
    handler = guarded(bench, operation, bench.serve, verifier)
    reader, writer = tokens.issue("bob"), tokens.issue("alice", scopes=["orders:write"])

    for credentials, refusal in (("Bearer x", Unauthenticated), ("", Unauthenticated), (f"Bearer {reader}", Forbidden)):
        with pytest.raises(refusal):
            await handler(bench.call(operation, credentials=credentials))
    assert (await handler(bench.call(operation, credentials=f"Bearer {writer}"))).id == "r1"
    with pytest.raises(TooManyRequests):
        await handler(bench.call(operation, credentials=f"Bearer {writer}"))


@pytest.mark.parametrize(
    ("name", "key", "level", "frames"),
    [
        ("receipt", "", logging.INFO, ["checked"]),
        ("buy", "", logging.WARNING, ["checked"]),
        ("buy", "", logging.INFO, ["watched", "checked"]),
        ("buy", "k1", logging.INFO, ["watched", "once", "checked"]),
    ],
    ids=["a query", "a command that nobody audits", "a command", "a command under a key"],
)
async def test_between_two_services_only_what_acts_afterwards_stands_in_a_traceback(
    bench: Any, name: str, key: str, level: int, frames: list[str]
) -> None:
    class Records:
        async def begin(self, *facts: Any) -> Any:
            return SimpleNamespace(state="running")

        async def release(self, record: Any) -> None:
            pass

    outer = bench.operation("buy", needs=Scope("orders:write"))
    inner = bench.operation(name, needs=Scope("orders:write"), rates=(Rate("1/hour"),))

    async def calls_on(call: Any) -> Any:
        made = call.child(inner, {"cart": "c", "sku": "s", "card": "", "quantity": 1, "id": "r1"})
        made.home, made.key = SimpleNamespace(records=Records()), key
        return await guarded(bench, inner, bench.failing(ValueError("a bug")))(made)

    log = logging.getLogger("enfilade.audit")
    log.setLevel(level)
    try:
        with pytest.raises(ValueError, match="a bug") as caught:
            await guarded(bench, outer, calls_on)(bench.call(outer, caller=WRITER))
    finally:
        log.setLevel(logging.NOTSET)

    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[names.index("calls_on") + 1 : names.index("fail")] == frames
