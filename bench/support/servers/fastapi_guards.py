"""What a FastAPI app takes for tokens, rates, traces, metrics and an audit: PyJWT, limits, OpenTelemetry, logging.

Each is as cheap as its settings let it be: a token that was verified is remembered, rates are in memory, spans go
nowhere and have no children for what is sent and received, the audit is a line in a file, unsealed.
"""

import json
import logging
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

FOLDER = Path(os.environ["BENCH_FOLDER"])
ISSUER: dict[str, Any] = json.loads(os.environ["BENCH_ISSUER"])
KEYS = {one["kid"]: jwt.PyJWK(one) for one in ISSUER["keys"]}
RATE = parse("100000000/minute")

limiter = FixedWindowRateLimiter(MemoryStorage())
bearer = HTTPBearer()
audit = logging.getLogger("audit")
audit.addHandler(logging.FileHandler(FOLDER / "fastapi.audit"))
audit.propagate = False
audit.setLevel(logging.INFO)


@lru_cache(1024)
def verified(token: str) -> dict[str, Any]:
    key = KEYS[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, [key.algorithm_name], audience=ISSUER["audience"], issuer=ISSUER["issuer"])


async def allowed(request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> None:
    """A good token with the scope, not too often; and a line that says so."""
    try:
        caller = verified(credentials.credentials)
    except (jwt.InvalidTokenError, KeyError):
        raise HTTPException(401) from None
    if caller["exp"] < time.time():
        raise HTTPException(401)
    if "orders:write" not in caller["scope"].split():
        raise HTTPException(403)
    if not await limiter.hit(RATE, "orders", caller["sub"]):
        raise HTTPException(429)
    said = {"at": time.time(), "operation": "orders.place", "who": caller["sub"], "path": request.url.path}
    audit.info(json.dumps(said))


class Nowhere(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def watch(app: FastAPI) -> None:
    """Spans and metrics of every request."""
    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(Nowhere()))
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=traces,
        meter_provider=MeterProvider([InMemoryMetricReader()]),
        exclude_spans=["receive", "send"],
    )
