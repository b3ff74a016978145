"""API6, unrestricted access to sensitive business flows: what may be done once is done once, and budgets hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, final

import httpx2
import pytest

from enfilade import App, Message, Money, Principal, Problem, Rate, anyone, command, contract, current, peers, signed_in
from enfilade.cli.serve import serving
from enfilade.config import Config
from enfilade.contract.plan import Allowance, Plans
from enfilade.errors import Conflict, TooManyRequests
from enfilade.service import Key, Row, Table, atomic
from enfilade.testing import Caller, Stage

MANY = 200


class Redeemed(Problem, status=409):
    """The coupon was used."""


class Discount(Message):
    code: str
    percent: int


@contract(needs=anyone)
class Coupons(Protocol):
    """Coupons that are good for one use."""

    @command("POST /coupons/{code}/redeem", raises=[Redeemed])
    async def redeem(self, code: str) -> Discount: ...

    @command("POST /coupons")
    async def issue(self, code: str) -> None: ...

    @command("POST /orders", status=201)
    async def order(self, sku: str) -> Discount: ...


class CouponRow(Row):
    code: Key[str]
    percent: int
    used: bool = False


class OrderRow(Row):
    id: Key[int]
    sku: str


@final
@dataclass
class CouponsService(Coupons):
    coupons: Table[CouponRow]
    orders: Table[OrderRow]

    @atomic
    async def redeem(self, code: str) -> Discount:
        for coupon in await self.coupons.lock(code):
            if not coupon.used:
                await self.coupons.put(coupon.replace(used=True))
                return Discount(code=code, percent=coupon.percent)
        raise Redeemed

    @atomic
    async def issue(self, code: str) -> None:
        await self.coupons.add(CouponRow(code=code, percent=10))

    @atomic
    async def order(self, sku: str) -> Discount:
        count = await self.orders.count()
        await self.orders.add(OrderRow(id=count, sku=sku))
        return Discount(code=str(count), percent=0)


@contract(needs=signed_in)
class Writing(Protocol):
    """Drafts, which cost money."""

    @command("POST /drafts", rate=Rate("10 EUR/month", per="tenant", cost="1 EUR", name="ai", plan=True))
    async def draft(self, cents: int = 100) -> str: ...

    @command("POST /summaries", rate=Rate("1000 tokens/day", per="agent", cost=100))
    async def summary(self, tokens: int = 100) -> str: ...


@contract(needs=peers)
class Model(Protocol):
    @command()
    async def complete(self, cents: int, tokens: int) -> str: ...


@final
@dataclass
class WritingService(Writing):
    model: Model

    async def draft(self, cents: int = 100) -> str:
        return await self.model.complete(cents, 0)

    async def summary(self, tokens: int = 100) -> str:
        return await self.model.complete(0, tokens)


@final
class ModelService(Model):
    async def complete(self, cents: int, tokens: int) -> str:
        await asyncio.sleep(0)
        current().spend(Money.minor_units(cents, "EUR"))
        current().spend(tokens, "tokens")
        return "text"


@contract(needs=peers)
class Sales(Plans, Protocol):
    """Knows who bought what."""


PLANS: dict[str, int] = {}


@final
class SalesService(Sales):
    async def allowance(self, tenant: str, meter: str) -> Allowance:
        return Allowance(limit=PLANS.get(tenant))


@pytest.fixture(autouse=True)
def no_plans() -> None:
    PLANS.clear()


def app() -> App:
    made = App("flows", services=[Coupons, Writing, Model, Sales])
    made.service(Coupons).by(CouponsService)
    made.service(Writing).by(WritingService)
    made.service(Model).by(ModelService)
    made.service(Sales).by(SalesService)
    return made


@asynccontextmanager
async def listening(folder: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    """The app on a socket, with its rows in files."""
    made = app()
    made.config = Config(folder=str(folder))
    async with serving(made, port=0) as url, httpx2.AsyncClient(base_url=url, timeout=30) as client:
        yield client


async def outcomes(ask: Callable[[], Any], *wrong: type[Exception]) -> list[Any]:
    """What so many get that ask at once; of errors their type."""

    async def one() -> Any:
        try:
            return await ask()
        except wrong as error:
            return type(error)

    return list(await asyncio.gather(*(one() for _ in range(MANY))))


async def test_of_200_who_use_one_coupon_at_once_exactly_one_gets_it() -> None:
    async with Stage(app()) as stage:
        await stage.nobody.of(Coupons).issue("SPRING")

        got = await outcomes(lambda: stage.nobody.of(Coupons).redeem("SPRING"), Redeemed)

        assert got.count(Discount(code="SPRING", percent=10)) == 1
        assert got.count(Redeemed) == MANY - 1


async def test_of_200_requests_for_one_coupon_exactly_one_gets_it(tmp_path: Path) -> None:
    async with listening(tmp_path) as client:
        await client.post("/coupons", json={"code": "SPRING"})
        answers = await outcomes(lambda: client.post("/coupons/SPRING/redeem"))

        assert sorted(one.status_code for one in answers) == [200, *[409] * (MANY - 1)]


async def test_of_200_requests_with_one_key_exactly_one_is_done(tmp_path: Path) -> None:
    async with listening(tmp_path) as client:
        ask = lambda: client.post("/orders", json={"sku": "tea"}, headers={"idempotency-key": "k1"})  # noqa: E731
        answers = await outcomes(ask)
        late = await ask()

        assert {one.status_code for one in answers} <= {201, 409}
        first = {one.text for one in answers if one.status_code == 201}
        assert first == {late.text}
        assert late.headers["idempotency-replayed"] == "true"
        assert (await client.post("/orders", json={"sku": "tea"})).json()["code"] == "1"  # the second order there is


async def test_of_200_in_process_calls_with_one_key_exactly_one_is_done() -> None:
    async with Stage(app()) as stage:
        http = stage.http
        answers = await outcomes(
            lambda: http.post("/orders", json={"sku": "tea"}, headers={"idempotency-key": "k1"}), Conflict
        )

        assert {one.status_code for one in answers} <= {201, 409}
        assert len(await stage.rows(OrderRow)) == 1


def acme(stage: Stage, tenant: str = "acme", **facts: Any) -> Writing:
    return Caller(stage, Principal(subject="ann", tenant=tenant, **facts)).of(Writing)


async def test_a_budget_of_money_holds_whatever_is_asked_at_once() -> None:
    async with Stage(app()) as stage:
        got = await outcomes(lambda: acme(stage).draft(100), TooManyRequests)

        assert got.count("text") == 10
        assert got.count(TooManyRequests) == MANY - 10
        assert await acme(stage, "other").draft() == "text"


async def test_a_plan_is_what_a_tenant_may_take_and_an_upgrade_takes_effect() -> None:
    async with Stage(app()) as stage:
        PLANS["acme"] = 300
        assert (await outcomes(lambda: acme(stage).draft(100), TooManyRequests)).count("text") == 3
        PLANS["acme"] = 500
        await stage.advance(timedelta(minutes=1))
        assert (await outcomes(lambda: acme(stage).draft(100), TooManyRequests)).count("text") == 2


async def test_an_agent_has_a_budget_of_its_own_whomever_it_acts_for() -> None:
    async with Stage(app()) as stage:
        agent = acme(stage, kind="agent")
        for _ in range(2):
            assert await agent.summary(400) == "text"
        bots = [Caller(stage, Principal(subject=who, actors=("bot",))).of(Writing) for who in ("ann", "bob", "cyd")]
        for bot in bots[:2]:
            assert await bot.summary(500) == "text"
        with pytest.raises(TooManyRequests):
            await bots[2].summary(1)
        for _ in range(20):
            assert await acme(stage).summary(1000) == "text"  # a person spends his own money


async def test_a_quota_is_not_refilled_by_a_restart(tmp_path: Path) -> None:
    config = Config(folder=str(tmp_path), data=f"sqlite:{tmp_path}/{{service}}.db")
    async with Stage(app(), config=config) as stage:
        assert (await outcomes(lambda: acme(stage).draft(100), TooManyRequests)).count("text") == 10
    async with Stage(app(), config=config) as stage:
        with pytest.raises(TooManyRequests) as refused:
            await acme(stage).draft()

        assert refused.value.retry_after == 30.5 * 86_400  # the month has so much left
