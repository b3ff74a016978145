"""Secrets of OpenBao or HashiCorp Vault.

`vault:https://bao.example:8200/secret` is a mount of the KV engine, version 2: `payments/psp-key` is the field `value`
of the secret at that path, or its only field; `payments/psp#account` names another one. Values are asked for again
after a minute.

`lease:https://bao.example:8200/database/creds` is an engine that makes credentials: `shop#username` and
`shop#password` are two halves of one lease, which is renewed at half its time, replaced when it cannot be, and revoked
when the app stops.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from enfilade.clock import Clock
from enfilade.secrets.login import Login
from enfilade.secrets.unreadable import Unreadable

log = logging.getLogger("enfilade.secrets")

_FRESH: Final = 60.0
"""Seconds that a value is good for without asking: what a rotation may take to arrive."""
_AGAIN: Final = 10.0
"""Seconds until a server that did not answer is asked again."""


@dataclass(repr=False)
class _Kept:
    """What the server said of one path."""

    fields: Mapping[str, str] | None
    until: float
    """When it is asked again."""
    lease: str = ""
    length: float = 0.0
    """Seconds of the lease."""


@dataclass(repr=False)
class Vault:
    """One mount of one server. What was read stays good while the server is away."""

    place: str
    clock: Clock
    environ: Mapping[str, str]
    leased: bool = False
    _kept: dict[str, _Kept] = field(default_factory=dict[str, _Kept])
    _leases: list[str] = field(default_factory=list[str])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def __post_init__(self) -> None:
        """Raises StartError where the place is no address, or the extra is not installed."""
        self._login = Login(self.place, self.environ)
        self._lock = asyncio.Lock()
        self._tended = False

    async def find(self, name: str) -> str | None:
        path, _, wanted = name.partition("#")
        async with self._lock:
            kept = self._kept.get(path)
            if kept is None or (self.clock.monotonic() >= kept.until):
                kept = self._kept[path] = await self._ask(path, kept)
        if kept.fields is None:
            return None
        if wanted or "value" in kept.fields:
            return kept.fields.get(wanted or "value")
        return next(iter(kept.fields.values())) if len(kept.fields) == 1 else None

    def remedy(self, name: str) -> str:
        path, _, wanted = name.partition("#")
        where = f"{self._login.mount}/{path}"
        if self.leased:
            return f"let {self._login.address} make credentials at {where}"
        return f"run `bao kv put {where} {wanted or 'value'}=-`"

    async def aclose(self) -> None:
        """Revoke the leases, and the token that we logged in for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lease in self._leases:
            await self._quietly("revoked", lambda client, lease=lease: client.sys.revoke_lease(lease))
        await self._run(self._login.close)

    async def _ask(self, path: str, before: _Kept | None) -> _Kept:
        try:
            found = await self._run(lambda: self._login.call(lambda client: self._read(client, path)))
        except Unreadable as wrong:
            if before is None:
                raise
            log.warning("%s; the value that was read before is used meanwhile", wrong.what)
            before.until = self.clock.monotonic() + _AGAIN
            return before
        if not self._tended:
            self._tended = True
            self._start(self._tend_token())
        if found.lease:
            self._leases.append(found.lease)
            self._start(self._tend_lease(path, found))
        return found

    def _read(self, client: Any, path: str) -> _Kept:
        now = self.clock.monotonic()
        if self.leased:
            try:
                said = client.read(f"{self._login.mount}/{path}")
            except self._login.invalid:  # there is no such role
                said = None
            if said is None:
                return _Kept(None, now + _FRESH)
            length = float(said["lease_duration"])
            return _Kept(_texts(said["data"]), float("inf") if length else now + _FRESH, said["lease_id"], length)
        try:
            said = client.secrets.kv.v2.read_secret_version(
                path, mount_point=self._login.mount, raise_on_deleted_version=True
            )
        except self._login.absent:
            return _Kept(None, now + _FRESH)
        return _Kept(_texts(said["data"]["data"]), now + _FRESH)

    async def _tend_lease(self, path: str, kept: _Kept) -> None:
        """Renew at half time. One that ends soon all the same is replaced: the next reveal gives other credentials."""
        left = kept.length
        while left > 0:
            await self.clock.sleep(left / 2)
            said = await self._quietly(
                "renewed", lambda client: client.sys.renew_lease(kept.lease, increment=int(kept.length))
            )
            left = left / 2 if said is None else float(said["lease_duration"])
            if left < kept.length / 2:
                break
        async with self._lock:
            if self._kept.get(path) is kept:
                kept.until = 0.0  # the old one lives on until its own end, for whoever still uses it

    async def _tend_token(self) -> None:
        """Renew the token at half its time: leases end with the token that they were made for."""
        while True:
            left = self._login.seconds
            if not left:
                return
            await self.clock.sleep(left / 2)
            if await self._quietly("renewed", lambda client: client.auth.token.renew_self()) is None:
                await self._run(self._login.forget)

    async def _quietly(self, what: str, work: Callable[[Any], Any]) -> Any | None:
        try:
            return await self._run(lambda: self._login.call(work))
        except Unreadable as wrong:
            log.warning("a lease of %s could not be %s: %s", self._login.address, what, wrong.what)
            return None

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(work)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work, name="enfilade-secrets")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _texts(data: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else str(value) for name, value in data.items()}
