"""The same work in Litestar on uvicorn, with none of the guards."""

import sys

import uvicorn
from litestar import Litestar, post
from orders_in_msgspec import NewOrder, Placed, placed


@post("/orders")
async def place(data: NewOrder) -> Placed:
    return placed(data)


uvicorn.run(
    Litestar([place]), port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools"
)
