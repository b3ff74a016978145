"""The shop's contracts and what is exported of them: the same answers for every caller of every operation."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from enfilade import Principal
from enfilade.app import stations
from enfilade.call import Call, row
from enfilade.config import Config
from enfilade.contract.operation import Operation
from enfilade.errors import Problem
from enfilade.guard import Callers, needs, rules
from enfilade.policy import cedar, policies_of
from enfilade.running import Running
from shop.app import app


def allowed(call: Call, callers: Callers) -> bool:
    served: list[Call] = []

    def serve(call: Call) -> None:
        served.append(call)

    try:
        row(call.operation, (needs(callers), rules(callers)), serve)(call)  # pyright: ignore[reportArgumentType]
    except Problem:
        return False
    return bool(served)


@pytest.mark.parametrize("tenant", ["", "acme"])
def test_the_shop_is_guarded_alike_by_contracts_and_by_cedar(tenant: str, tmp_path: Path) -> None:
    elsewhere = {name: {"at": "https://elsewhere.example"} for name in ("psp", "carrier", "mail")}
    config = Config(data="sqlite::memory:", folder=str(tmp_path), service=elsewhere)
    running = Running(app, config, stations, background=False)
    contracts = [placed.contract for placed in running.placement.services.values()]
    (tmp_path / "contracts.cedar").write_text(policies_of(contracts, running.callers))
    policy = cedar(tmp_path).open(contracts)
    scopes = sorted({part for one in operations(running) for part in str(one.needs).split() if ":" in part})
    principals = [None] + [
        Principal(subject="ann", tenant=tenant, scopes=frozenset(scope), roles=frozenset(role))
        for scope, role in itertools.product([(), scopes[:1], scopes], [(), ("warehouse",), ("operator", "editor")])
    ]
    asked, answers = 0, {True: 0, False: 0}
    for operation in operations(running):
        decide = policy.of(operation)
        assert decide is not None
        for principal, peer in itertools.product(principals, ("", *sorted(running.placement.services))):
            call = Call(operation, {}, running.clock, 1.0, caller=principal, tenant=tenant, peer=peer)
            contract = allowed(call, running.callers)

            assert decide(call).allowed == contract, f"{operation.id} ({operation.needs}): {principal} by {peer!r}"
            asked += 1
            answers[contract] += 1
    assert asked > 2_000
    assert min(answers.values()) > 500


def operations(running: Running) -> list[Operation]:
    return [one for placed in running.placement.services.values() for one in placed.contract.operations]
