"""What a running Envoy says of itself, over its socket."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2

_NUMBER = re.compile(r"^(.+): (\d+)$", re.MULTILINE)
_TEXT = re.compile(r'^(.+)\.version_text: "(.*)"$', re.MULTILINE)


class Admin:
    """The socket of one Envoy. Raises httpx2.HTTPError where nobody answers."""

    def __init__(self, socket: Path) -> None:
        self._client = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=str(socket)), base_url="http://envoy", timeout=5.0
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ready(self) -> bool:
        """Whether it serves."""
        try:
            return (await self._client.get("/ready")).status_code == 200
        except httpx2.HTTPError:
            return False

    async def numbers(self, names: str) -> dict[str, int]:
        """The counters and gauges whose names fit this regular expression."""
        return {name: int(value) for name, value in _NUMBER.findall(await self._stats(names))}

    async def versions(self) -> dict[str, str]:
        """What it works with, by the name of each subscription."""
        return dict(_TEXT.findall(await self._stats("version_text")))

    async def prometheus(self) -> str:
        """Its numbers as Prometheus reads them, without those that never moved."""
        return (await self._client.get("/stats/prometheus?usedonly")).text

    async def post(self, path: str) -> None:
        (await self._client.post(path)).raise_for_status()

    async def _stats(self, names: str) -> str:
        return (await self._client.get("/stats", params={"filter": names})).text
