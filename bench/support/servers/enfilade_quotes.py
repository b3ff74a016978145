"""Pricing served to other processes: on a Unix socket beside the port, and on the port; there by certificates."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from quotes import Pricing, PricingService
from shop_of_quotes import Shop, ShopService

from enfilade import App
from enfilade.cli.serve import collect_less, run_until_stopped, signals
from enfilade.clock import SystemClock
from enfilade.config import Config, TraceConfig
from enfilade.endpoint.rpc import listening, rpc
from enfilade.identity.workload import Authority, Workload


async def main() -> None:
    port = sys.argv[1]
    place, clock = Path(f"/tmp/enfilade-quotes-{port}"), SystemClock()
    authority = Authority("quotes", b"a secret of thirty-two characters", place, clock)
    authority.renew(place, {"pricing": ("pricing",), "shop": ("shop",)})
    with tempfile.TemporaryDirectory() as folder, signals() as stop:
        config = Config(folder=folder, data="sqlite::memory:", codec="never", trace=TraceConfig(file=False))
        app = App("pricing", services=[Pricing, Shop], endpoints=[], config=config)
        app.service(Pricing).by(PricingService)
        app.service(Shop).by(ShopService)
        async with app.running() as running, Workload("quotes", "pricing", place, clock) as me:
            served = rpc().serve(running.site)
            async with (
                listening(served, f"unix:/tmp/enfilade-quotes-{port}.sock"),
                listening(served, f"127.0.0.1:{port}", tls=me),
            ):
                collect_less()  # as the processes of a plan do
                await stop.wait()


run_until_stopped(main())
