"""What certificates of processes cost: issuing one, a handshake of two processes, and letting in a call.

CPU of the process, both ends of a handshake together; the least of the rounds.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

import uvloop
from claims import Claim, tell

from enfilade.clock import SystemClock
from enfilade.identity.workload import Authority, Workload

ROUNDS = 9
ISSUED = 50
SHAKEN = 50
ADMITTED = 20_000


def least(count: int, work: Callable[[], object]) -> float:
    """Seconds of CPU for one."""
    found: list[float] = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(count):
            work()
        found.append((time.process_time() - begun) / count)
    return min(found)


async def shaken(front: Workload, payments: Workload) -> float:
    """Seconds of CPU for a connection with a handshake whose two ends verify one another, and its end."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        payments.peer_of(writer.get_extra_info("ssl_object"))
        writer.write(b"\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=payments.server)
    port = server.sockets[0].getsockname()[1]
    found: list[float] = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(SHAKEN):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=front.client, server_hostname=front.host("payments")
            )
            front.peer_of(writer.get_extra_info("ssl_object"))
            await reader.readline()
            writer.close()
            await writer.wait_closed()
        found.append((time.process_time() - begun) / SHAKEN)
    server.close()
    return min(found)


def main() -> None:
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = Authority("shop", b"a secret of thirty-two characters", folder, clock)
        authority.renew(folder / "run", {"front": ("orders",), "payments": ("payments",)})
        front = Workload("shop", "front", folder / "run", clock)
        payments = Workload("shop", "payments", folder / "run", clock)
        peer = front.own
        issuing = least(ISSUED, lambda: authority.issue("front", ("orders",)))
        admitting = least(ADMITTED, lambda: payments.admit(peer, "orders", "payments"))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            shaking = runner.run(shaken(front, payments))
    tell(
        [
            Claim("a certificate of a process, its key included", issuing * 1e3, "ms CPU", "<= 1"),
            Claim("a connection between two processes that verify one another, both ends", shaking * 1e3, "ms CPU", ""),
            Claim("letting in one call", admitting * 1e6, "us CPU", "<= 2"),
        ]
    )


main()
