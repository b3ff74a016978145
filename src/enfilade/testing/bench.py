"""One service under test, with fakes for its neighbours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from enfilade.app import App
from enfilade.config import Config
from enfilade.errors import Misuse
from enfilade.service.inject import is_contract
from enfilade.testing.shape import Shape
from enfilade.testing.stage import Stage


class Bench(Stage):
    """One service under test, with fakes for the contracts that its constructor names.

    `config` may carry its settings: `Config(data="sqlite::memory:", service={"orders": {"limit": 3}})`.
    """

    def __init__(
        self,
        service: type,
        *,
        start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC),
        seed: int = 0,
        config: Config | None = None,
        shape: Shape | None = None,
    ) -> None:
        contracts = [one for one in service.__bases__ if is_contract(one)]
        if len(contracts) != 1:
            raise Misuse(
                f"{service.__name__} inherits {len(contracts)} contracts: a bench is for a class that inherits one."
            )
        app = App("bench", services=contracts, endpoints=None)
        super().__init__(app, start=start, seed=seed, config=config, shape=shape)
        self.app.builders[contracts[0]] = service

    def _replace(self, contract: Any, fake: object) -> None:
        super()._replace(contract, fake)
        if contract not in self.app.services:
            self.app.services = (*self.app.services, contract)
