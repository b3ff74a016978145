"""What the nursery of a plan loads, so that its processes need not: see `enfilade.plan.nursery`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from enfilade.plan import Plan

BY_ALL: Final = (
    "enfilade.cli.process", "enfilade.cli.serve", "enfilade.cli.plan", "enfilade.plan.share", "enfilade.plan.survey",
    "enfilade.trace.log", "enfilade.app", "uvloop",
    "anyio._backends._asyncio",  # which the HTTP client loads with its first request, and takes 50 ms for
)  # fmt: skip
"""By every plan, and by the question what a plan says."""


def by(plan: Plan) -> list[str]:
    """By this plan: drivers, which take longer than all of ours, and the certificates of the world's authorities."""
    names = ["enfilade.outbound.pinned:authorities"]
    if any(url.startswith("postgresql:") for url in plan.data.values()):
        names += ["enfilade.store.postgres", "asyncpg"]
    if plan.layout.store.events.startswith("nats:"):
        names.append("nats.aio.client")
    if plan.layout.edge.run:
        names += ["enfilade.cli.edge", "enfilade.edge", "enfilade.plan.border"]
    return names
