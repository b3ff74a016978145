"""All guards of a query from outside: identity, scope, ownership, rate, deadline, places and audit, over the bare row.

CPU of the process per call, both sides interleaved, the minimum of the rounds. What a request's size may be is asked
where it is read, which is a part of reading it. A query leaves no line in the audit unless it is refused; what a
command's line costs is measured apart, with the thread that writes it.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).parent / "support"))

import uvloop
from claims import Claim, tell

from enfilade import Message, Owner, Rate, Scope, command, contract, query
from enfilade.call import Call, Station, row
from enfilade.clock import SystemClock
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.guard import (
    Bulkhead,
    Meters,
    Trail,
    audit,
    deadline,
    idempotency,
    identity,
    needs,
    policies,
    prove,
    rules,
)
from enfilade.identity import DevelopmentIssuer, Tokens, Verifier
from enfilade.store.owner import own_rows_only

ROUNDS = 100
COUNT = 1_000


class Order(Message):
    id: str


@contract(needs=Owner & Scope("orders:read"), rate=Rate("1000000000/minute"))
class Orders(Protocol):
    @query("GET /orders/{id}")
    async def order(self, id: str) -> Order:
        """One order."""
        ...

    @command("POST /orders/{id}/cancel")
    async def cancel(self, id: str) -> Order:
        """Cancel an order."""
        ...


ORDER = Order(id="ord_1")


async def served(call: Call) -> Order:
    own_rows_only(call)
    return ORDER


async def bare(call: Call) -> Order:
    return ORDER


def guards(clock: SystemClock, verifier: Verifier, trail: Trail | None) -> list[Station]:
    def nobody(service: str) -> tuple[str, ...]:
        return ()

    return [
        audit(trail), identity(verifier), needs(nobody), Meters(clock).station, rules(nobody), policies(None),
        deadline(), Bulkhead().station, idempotency(),
    ]  # fmt: skip


async def timed(handler: Any, operation: Operation, clock: SystemClock, credentials: str) -> float:
    """CPU microseconds of one call, the making of the call included."""
    monotonic = clock.monotonic
    start = time.process_time()
    for _ in range(COUNT):
        call = Call(operation, {"id": "ord_1"}, clock, monotonic() + 10.0)
        call.credentials = credentials
        call.address = "192.0.2.1"
        await handler(call)
    return (time.process_time() - start) * 1e6 / COUNT


async def recalled(verifier: Verifier, token: str) -> float:
    """CPU microseconds of recalling a verified token."""
    recall = verifier.recall
    start = time.process_time()
    for _ in range(COUNT):
        recall(token)
    return (time.process_time() - start) * 1e6 / COUNT


async def main() -> list[Claim]:
    clock = SystemClock()
    issuer = DevelopmentIssuer(None, "bench")
    verifier = Verifier([issuer.issuer], clock)
    token = Tokens(issuer, clock).issue(
        "ann", tenant="acme", scopes=["orders:read", "orders:write"], roles=["customer"]
    )
    await verifier.verify(token)
    order, cancel = read(Orders).operations
    with tempfile.TemporaryDirectory() as folder:
        trail = Trail(Path(folder), b"secret", clock)
        guarded = row(order, guards(clock, verifier, trail), served)
        told = row(cancel, guards(clock, verifier, trail), served)
        untold = row(cancel, guards(clock, verifier, None), served)
        best: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, took in {
                "bare": await timed(bare, order, clock, f"Bearer {token}"),
                "guarded": await timed(guarded, order, clock, f"Bearer {token}"),
                "token": await recalled(verifier, token),
                "untold": await timed(untold, cancel, clock, f"Bearer {token}"),
            }.items():
                best[name] = min(best.get(name, took), took)
        start = time.process_time()
        for _ in range(ROUNDS):
            await timed(told, cancel, clock, f"Bearer {token}")
        await trail.aclose()  # with all that the thread did
        lines = (time.process_time() - start) * 1e6 / (ROUNDS * COUNT) - best["untold"]
        proof = await asyncio.to_thread(prove, Path(folder), b"secret")
        assert not proof.findings, proof.findings[0]
        assert proof.lines > ROUNDS * COUNT, proof.lines
    return [
        Claim("all guards of a query from outside, over none", best["guarded"] - best["bare"], "us CPU", "<= 15"),
        Claim("a verified token seen again", best["token"], "us CPU", "<= 2"),
        Claim("a command's line in the audit, sealed and on disk", lines, "us CPU", ""),
    ]


tell(uvloop.run(main()))
