"""The plan in force: how it changes, and what is kept of that."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enfilade.errors import StartError
from enfilade.plan import Layout, Output, Plan, Program, share
from enfilade.plan.arrangement import Process
from enfilade.plan.change import following, joined, scaled, shared, succeeded, unit
from enfilade.plan.force import Changes, Force, Version
from enfilade.plan.survey import Known

PLAN = Plan(
    app="shop",
    layout=Layout(
        name="split",
        processes={"pay": Process(services=("payments",)), "front": Process(front=True, services=("orders",))},
    ),
    services={"payments": Known(process="pay", calls=("orders",)), "orders": Known(process="front")},
    data={},
    folder=".enfilade",
    host="",
    port=0,
    drain=1.0,
    json=False,
)


@dataclass
class Children:
    """A supervisor that only notes what it is asked."""

    run: Path
    done: list[str] = field(default_factory=list[str])
    broken: str = ""

    async def add(self, programs: Sequence[Program], beside: str) -> None:
        names = " ".join(one.name for one in programs)
        self.done.append(f"add {names} beside {beside}")
        if self.broken and self.broken in names:
            raise StartError([])

    async def tell(self, revision: int) -> list[str]:
        told = share.read(str(self.run.parent))
        assert told.revision == revision
        self.done.append(f"tell {', '.join(told.plan.layout.processes)}")
        return []

    async def leave(self, names: Collection[str]) -> None:
        self.done.append(f"leave {', '.join(sorted(names))}")


def programs(plan: Plan, name: str) -> list[Program]:
    count = plan.layout.processes[name].replicas
    return [Program(name=name if at == 1 else f"{name}@{at}", command=()) for at in range(1, count + 1)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def force(run: Path, plan: Plan = PLAN) -> tuple[Force, io.StringIO]:
    heard = io.StringIO()
    return Force(plan, {}, run, Output(heard, ())), heard


async def test_what_is_new_starts_then_all_are_told_then_what_is_gone_leaves(run: Path) -> None:
    children, (one, _) = Children(run), force(run)
    await one.bring(scaled(one.plan, "pay", 3), children, programs)
    await one.bring(shared(joined(one.plan, "pay", "pay.2", "../next", {}), "pay.2", 10), children, programs)
    await one.bring(succeeded(one.plan, "pay", "pay.2"), children, programs)

    assert children.done == [
        "add pay@2 pay@3 beside pay",
        "tell pay, front",
        "leave ",
        "add pay.2 pay.2@2 pay.2@3 beside pay",
        "tell pay, front, pay.2",
        "leave ",
        "tell pay.2, front",
        "leave pay, pay@2, pay@3",
    ]


async def test_where_something_does_not_start_all_is_as_before(run: Path) -> None:
    children, (one, _) = Children(run, broken="pay@2"), force(run)
    with pytest.raises(StartError):
        await one.bring(scaled(one.plan, "pay", 2), children, programs)

    assert one.plan == PLAN
    assert children.done == ["add pay@2 beside pay", "tell pay, front"]
    assert share.read(str(run.parent)).plan == PLAN


async def test_changes_are_kept_and_what_is_not_in_the_plan_any_more_is_told(run: Path) -> None:
    one, _ = force(run)
    services = {"payments": Known(calls=("orders", "mail"), hears=("orders.Placed",))}
    versions = (Version(process="pay"), Version(process="pay.2", code="../next", said="next", services=services))
    one.keep(Changes(replicas={"pay": 2, "mail": 2}, versions={"pay": versions, "mail": versions}))
    again, heard = force(run)
    changed = again.plan.layout.processes["pay.2"]

    assert (changed.replicas, changed.from_, changed.variant) == (2, "../next", False)
    assert again.plan.services["payments"] == Known(process="pay.2", calls=("orders", "mail"), hears=("orders.Placed",))
    assert again.first("pay.2") == "pay"
    assert list(again.plan.layout.processes) == ["pay.2", "front"]
    assert "mail was scaled to 2, and is not in the plan any more" in heard.getvalue()
    assert "mail runs as the plan says: what was released to next are other services" in heard.getvalue()
    (run.parent / "changes.json").write_text("{")
    with pytest.raises(StartError, match="Mend it, or remove it"):
        force(run)


def test_a_process_is_known_by_its_services_and_by_its_first_name() -> None:
    after = succeeded(joined(PLAN, "pay", "pay.2", "../next", {}), "pay", "pay.2")

    assert [unit(after, said) for said in ("pay", "pay.2", "payments", "orders", "mail")] == [
        "pay.2", "pay.2", "pay.2", "front", "",
    ]  # fmt: skip
    assert (following("pay"), following("pay.2"), following("pay-2")) == ("pay.2", "pay.3", "pay-2.2")


def test_a_new_version_has_its_share_of_what_other_variants_leave() -> None:
    other = shared(joined(PLAN, "pay", "pay-fast", "", {}), "pay-fast", 20)
    both = shared(joined(other, "pay", "pay.2", "", {}), "pay.2", 50)

    assert [one.share for one in share.ways_of(both, "payments")] == [40, 20, 40]


def test_a_version_may_call_what_the_old_one_did_not_and_the_other_way_round() -> None:
    both = joined(PLAN, "pay", "pay.2", "../next", {"payments": Known(calls=("mail",))})

    assert both.services["payments"].calls == ("mail", "orders")
