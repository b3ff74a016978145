"""Pricing served to other processes: on a Unix socket beside the port, and on the port."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from quotes import Pricing, PricingService
from shop_of_quotes import Shop, ShopService

from enfilade import App
from enfilade.cli.serve import run_until_stopped, signals
from enfilade.config import Config, TraceConfig
from enfilade.endpoint.rpc import listening, rpc


async def main() -> None:
    port = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder, signals() as stop:
        config = Config(folder=folder, data="sqlite::memory:", codec="never", trace=TraceConfig(file=False))
        app = App("pricing", services=[Pricing, Shop], endpoints=[], config=config)
        app.service(Pricing).by(PricingService)
        app.service(Shop).by(ShopService)
        async with app.running() as running:
            site = running.site
            async with (
                listening(rpc().serve(site), f"unix:/tmp/enfilade-quotes-{port}.sock"),
                listening(rpc(network=True).serve(site), f"127.0.0.1:{port}"),
            ):
                await stop.wait()


run_until_stopped(main())
