"""The stores of an app, opened by themselves: nothing is served, delivered or started meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, get_args

from enfilade.cli.refused import Refused
from enfilade.cli.target import config_of

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.store import Store


@asynccontextmanager
async def stores_of(app: App) -> AsyncGenerator[dict[str, Store]]:
    """By service name. Raises Refused where nothing would remain, and StartError as the app itself would."""
    from enfilade.clock import SystemClock
    from enfilade.placement import Placement
    from enfilade.service.inject import wants
    from enfilade.store import open_store
    from enfilade.trace.recorder import Recorder

    config = config_of(app)
    if config.data_url == "sqlite::memory:" and not config.stores:
        raise Refused(
            f"{app.name} keeps its rows in memory.", 'Say `data = "sqlite:..."` or a database in enfilade.toml.'
        )
    clock = SystemClock()
    recorder = Recorder(clock, enabled=False)
    found: dict[str, Store] = {}
    async with AsyncExitStack() as stack:
        for name, placed in Placement(app.services, app.builders, config).services.items():
            if placed.build is None or not placed.keeps:
                continue
            store = open_store(
                config.data_of(name), name, clock=clock, recorder=recorder, secret=b"", synchronous=config.synchronous
            )
            for want in wants(placed.build):
                if want.kind == "table":
                    store.table(get_args(want.type)[0])
            await store.open()
            stack.push_async_callback(store.close)
            found[name] = store
        yield found
