"""A POST with a nested ten-field body through the whole row, against FastAPI with and without guards, and Litestar.

CPU of the server process per request, all servers interleaved, the minimum of the rounds.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

from claims import Claim, tell
from http_load import Server, load, post

from enfilade.clock import SystemClock
from enfilade.identity import DevelopmentIssuer, Tokens

ROUNDS = 12
COUNT = 3200

BODY = json.dumps(
    {
        "customer": "ann", "currency": "EUR", "email": "ann@example.com", "priority": 3, "gift": False,
        "note": "Leave it at the door.", "coupon": None, "tags": ["web", "vip"],
        "address": {"street": "1 Long Street", "city": "Berlin", "zip": "10115", "country": "DE"},
        "lines": [{"sku": f"sku-{at}", "quantity": at + 1, "cents": 1250} for at in range(3)],
    }
).encode()  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        development = DevelopmentIssuer(Path(folder), "bench")
        known = development.issuer
        said = json.dumps({"issuer": known.url, "audience": known.audience, "keys": known.keys})
        token = Tokens(development, SystemClock()).issue("ann", scopes=["orders:write"])
        guarded = post("/orders", BODY, authorization=f"Bearer {token}")
        plain = post("/orders", BODY)
        servers = {
            "enfilade": (Server("enfilade_order", BENCH_FOLDER=folder), guarded),
            "asgi": (Server("enfilade_order", BENCH_FOLDER=folder, BENCH_DRIVER="asgi"), guarded),
            "untraced": (Server("enfilade_order", BENCH_FOLDER=folder, BENCH_TRACE="off"), guarded),
            "fastapi": (Server("fastapi_order"), plain),
            "fastapi, guarded": (
                Server("fastapi_order", BENCH_GUARDS="on", BENCH_FOLDER=folder, BENCH_ISSUER=said),
                guarded,
            ),
            "litestar": (Server("litestar_order"), plain),
            "bare": (Server("bare_order"), plain),
        }
        best = dict.fromkeys(servers, float("inf"))
        try:
            for server, request in servers.values():
                load(server, request, 480, status=201)
            for _ in range(ROUNDS):
                for name, (server, request) in servers.items():
                    best[name] = min(best[name], load(server, request, COUNT, status=201))
        finally:
            for server, _ in servers.values():
                server.stop()
    ours = best["enfilade"]
    tell(
        [
            Claim("POST, whole row: CPU of FastAPI without guards over ours", best["fastapi"] / ours, "times", ">= 4"),
            Claim(
                "POST, whole row: CPU of FastAPI with tokens, rates, traces and an audit over ours",
                best["fastapi, guarded"] / ours,
                "times",
                ">= 4",
            ),
            Claim(
                "POST, whole row: CPU of Litestar without guards over ours", best["litestar"] / ours, "times", ">= 1"
            ),
            Claim(
                "the same app by ASGI on uvicorn: its CPU over that of our driver",
                best["asgi"] / ours,
                "times",
                ">= 1.2",
            ),
            Claim("tracing and metrics: part of that POST's CPU", (ours / best["untraced"] - 1) * 100, "%", "<= 5"),
            Claim("POST, whole row", ours, "us CPU", ""),
            Claim("the same by ASGI on uvicorn", best["asgi"], "us CPU", ""),
            Claim("the same without tracing and metrics", best["untraced"], "us CPU", ""),
            Claim("FastAPI on uvicorn", best["fastapi"], "us CPU", ""),
            Claim("FastAPI with guards", best["fastapi, guarded"], "us CPU", ""),
            Claim("Litestar on uvicorn", best["litestar"], "us CPU", ""),
            Claim("a bare ASGI application on uvicorn", best["bare"], "us CPU", ""),
        ]
    )


main()
