"""Who did what: one line for every command and every refusal, and nothing secret in it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from enfilade.call import Call, Principal, acting, enter, leave, row
from enfilade.contract.message import Message
from enfilade.contract.need import Role, Scope, any_tenant, signed_in
from enfilade.errors import Forbidden, Unauthenticated
from enfilade.guard import Trail, audit, needs
from enfilade.hidden import conceal

log = logging.getLogger("enfilade.audit")


class Lines(logging.Handler):
    """What was written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        assert "\n" not in text
        self.lines.append(json.loads(text))


@pytest.fixture
def lines() -> Generator[list[dict[str, Any]]]:
    handler = Lines()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler.lines
    log.setLevel(logging.NOTSET)
    log.removeHandler(handler)


async def test_a_command_leaves_one_line_that_says_who_what_and_how_it_ended(bench: Any, lines: Any) -> None:
    operation = bench.operation("buy")
    alice = Principal(subject="alice", kind="agent", issuer="https://id.example")
    call = bench.call(operation, caller=alice, tenant="acme", address="1.1.1.1", trace_id=0xABC)
    await audit()(operation, bench.serve)(call)

    assert lines == [
        {
            "at": "2026-01-01T00:00:00.000000Z",
            "operation": "shop.buy",
            "kind": "command",
            "who": "alice",
            "as": "agent",
            "issuer": "https://id.example",
            "tenant": "acme",
            "address": "1.1.1.1",
            "outcome": "ok",
            "needs": "anyone",
            "trace_id": f"{0xABC:032x}",
            "parameters": {"cart": "c1", "sku": "tea"},  # not the card, which is Sensitive, nor what is no key
            "result": "r1",
        }
    ]


@pytest.mark.parametrize("error", [ValueError("4111"), asyncio.CancelledError(), Forbidden()], ids=repr)
async def test_a_command_that_fails_leaves_its_line_too(bench: Any, lines: Any, error: BaseException) -> None:
    operation = bench.operation("buy")
    with pytest.raises(type(error)):
        await audit()(operation, bench.failing(error))(bench.call(operation, peer="orders"))

    assert [(line["outcome"], line["peer"]) for line in lines] == [(type(error).__name__, "orders")]
    assert "4111" not in json.dumps(lines)


async def test_a_query_leaves_a_line_only_where_it_is_refused(bench: Any, lines: Any) -> None:
    operation = bench.operation("receipt")
    await audit()(operation, bench.serve)(bench.call(operation))
    with pytest.raises(ValueError, match="a bug"):
        await audit()(operation, bench.failing(ValueError("a bug")))(bench.call(operation))
    assert lines == []

    for refusal in (Forbidden(), Unauthenticated()):
        with pytest.raises(type(refusal)):
            await audit()(operation, bench.failing(refusal))(bench.call(operation))
    assert [line["outcome"] for line in lines] == ["Forbidden", "Unauthenticated"]
    assert lines[0]["parameters"] == {"id": "r1"}


@pytest.mark.parametrize("peer", ["", "orders"])
async def test_what_a_station_refuses_is_written(bench: Any, lines: Any, peer: str) -> None:
    operation = bench.operation("receipt", needs=signed_in & Scope("a"))
    handler = row(operation, (audit(), needs(lambda service: {"orders", "cart", "shop", "peer"})), bench.serve)
    with pytest.raises(Forbidden):
        await handler(bench.call(operation, caller="alice", peer=peer))

    assert [(line["who"], line["outcome"]) for line in lines] == [("alice", "Forbidden")]


async def test_a_commands_stream_is_written_when_it_ends(bench: Any, lines: Any) -> None:
    operation = bench.operation("follow")
    good = await audit()(operation, bench.streaming(1, 2))(bench.call(operation))
    assert [item async for item in good] == [1, 2]
    bad = await audit()(operation, bench.streaming(1, ValueError("a bug")))(bench.call(operation))
    with pytest.raises(ValueError, match="a bug"):
        [item async for item in bad]

    assert [line["outcome"] for line in lines] == ["ok", "ValueError"]


async def test_text_from_outside_writes_no_line_of_its_own(bench: Any, lines: Any) -> None:
    operation = bench.operation("buy")
    await audit()(operation, bench.serve)(bench.call(operation, caller="a\n{}", arguments={"cart": "x\r\ny"}))

    assert lines[0]["who"] == "a\n{}"
    assert lines[0]["parameters"]["cart"] == "x\r\ny"


async def test_where_nobody_listens_nothing_stands_between(bench: Any) -> None:
    log.setLevel(logging.WARNING)
    try:
        reply = audit()(operation := bench.operation("buy"), bench.serve)(bench.call(operation))
    finally:
        log.setLevel(logging.NOTSET)

    assert reply.cr_code is bench.serve.__func__.__code__
    await reply


async def test_what_crosses_tenants_leaves_a_line_even_where_it_only_reads(bench: Any, lines: Any) -> None:
    operation = bench.operation("receipt", needs=Role("operator") & any_tenant)
    handler = row(operation, (audit(), needs(lambda service: ())), narrowing)
    await handler(bench.call(operation, caller=Principal(subject="eve", roles=frozenset({"operator"}))))

    assert [(line["any_tenant"], line["acted"], line["needs"]) for line in lines] == [
        (True, ["acme", "zeta"], "role operator and any tenant")
    ]


class Named(Message):
    id: str


async def narrowing(call: Call) -> Any:
    token = enter(call)
    for tenant in ("acme", "zeta"):
        with acting(tenant=tenant):
            pass
    leave(token)
    return Named(id="r1")


async def test_it_says_who_acts_for_whom(bench: Any, lines: Any) -> None:
    operation = bench.operation("buy")
    caller = Principal(subject="ann", client="app1", actors=("robot", "cart"))
    await audit()(operation, bench.serve)(bench.call(operation, caller=caller))

    assert (lines[0]["who"], lines[0]["client"], lines[0]["actors"]) == ("ann", "app1", ["robot", "cart"])


async def test_a_trail_takes_the_lines_where_nobody_listens(bench: Any, tmp_path: Path) -> None:
    trail = Trail(tmp_path, b"a secret", bench.clock)
    operation = bench.operation("buy")
    await audit(trail)(operation, bench.serve)(bench.call(operation, caller="ann"))
    await trail.aclose()

    assert '"who":"ann"' in await asyncio.to_thread((tmp_path / trail.name).read_text)


async def test_a_revealed_secret_is_masked_in_it(bench: Any, lines: Any) -> None:
    conceal("s3cret-of-the-audit")
    operation = bench.operation("buy")
    await audit()(operation, bench.serve)(bench.call(operation, arguments={"cart": "s3cret-of-the-audit"}))

    assert lines[0]["parameters"]["cart"] == "***"
