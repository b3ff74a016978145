"""What one call takes of its meters: set aside before it runs, settled when it is done."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.call import Call
from enfilade.guard.meters.meter import Meter


class Item:
    """What it takes of one meter."""

    __slots__ = ("add", "meter", "said", "spent", "taken")

    def __init__(self, meter: Meter, add: Callable[[int], None], said: Callable[[], str]) -> None:
        self.meter = meter
        self.add = add
        """Takes more, or gives back."""
        self.said = said
        """The item of the RateLimit field."""
        self.taken = meter.cost
        self.spent: int | None = 0 if meter.unit == "bytes" else None  # those the platform counts by itself
        """None till the call says."""

    def settle(self, target: int) -> None:
        if target != self.taken:
            self.add(target - self.taken)
            self.taken = target


class Tab:
    """The meters of one call, and of the calls that it makes."""

    __slots__ = ("_closed", "_items", "_planned")

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._closed = False
        self._planned = False

    def put(self, item: Item) -> None:
        self._items.append(item)
        self._planned = self._planned or item.meter.rate.plan

    @property
    def units(self) -> frozenset[str]:
        """What is counted: `tokens`, or a currency."""
        return frozenset(one.meter.unit for one in self._items)

    def spend(self, amount: int, unit: str) -> None:
        """See `Call.spend`."""
        for one in self._items:
            if one.meter.unit == unit:
                one.spent = (one.spent or 0) + amount
                one.settle(one.spent if self._closed else max(one.spent, one.taken))

    def close(self, *, done: bool) -> None:
        """The call is over. Who said nothing took what was set aside, or nothing where it was refused.

        Whatever else became of it (it failed, its time was over, the caller left) it may have run.
        """
        self._closed = True
        for one in self._items:
            if one.spent is not None:
                one.settle(one.spent)
            elif not done and one.meter.unit != "calls":
                one.settle(0)

    def void(self) -> None:
        """It was refused: nothing is taken."""
        for one in self._items:
            one.settle(0)
        self._items.clear()

    def tell(self, call: Call) -> None:
        """Say in the answer what is left; of a plan also how much it is."""
        if self._items:
            if self._planned:
                call.say("RateLimit-Policy", ", ".join([one.meter.policy for one in self._items]))
            call.say("RateLimit", ", ".join([one.said() for one in self._items]))
