"""A whole app under test."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import httpx2
from typing_extensions import TypeForm

from enfilade.app import App
from enfilade.call import Principal
from enfilade.clock import VirtualClock
from enfilade.config import Config
from enfilade.contract.codec import codec
from enfilade.contract.message import Event, event_key, event_name
from enfilade.errors import Misuse
from enfilade.running import Running
from enfilade.store import Entry, Row
from enfilade.testing.apart import open_apart
from enfilade.testing.book import Book
from enfilade.testing.callers import Caller, Given
from enfilade.testing.play import TESTS, Play, changed
from enfilade.testing.scene import Scene, SharedClock
from enfilade.testing.shape import Shape, chosen
from enfilade.testing.split import open_split
from enfilade.testing.spoken import Spoken
from enfilade.testing.whole import open_whole
from enfilade.topic.topic import uuid7

C = TypeVar("C")
E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=Row)


class Stage:
    """A whole app under test: `async with Stage(app) as stage`.

    `config` is as `enfilade.toml` says it; `shape` says in how many processes the app runs, and is left to the variable
    `ENFILADE_SHAPE` where it is not said. The app itself is not changed: two stages of one app never meet.
    """

    entered: ClassVar[int] = 0
    """How many were entered in this process."""
    _scene: Scene

    def __init__(
        self,
        app: App,
        *,
        start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC),
        seed: int = 0,
        config: Config | None = None,
        shape: Shape | None = None,
    ) -> None:
        """Raises Misuse where there is no such shape."""
        self.shape = chosen(shape)
        several = self.shape in ("rpc", "split")
        self.clock: VirtualClock = SharedClock(start, seed) if several else VirtualClock(start, seed)
        self._original = app
        self._seed = seed
        self.app = copy.copy(app)
        self.app.builders = dict(app.builders)
        self.app.clock = self.clock
        self._config = config or app.config or Config(data="sqlite::memory:", codec="always")
        self._exit = AsyncExitStack()
        self._http: httpx2.AsyncClient | None = None
        self._book = Book()
        self._fakes: set[Any] = set()
        self._secrets = Spoken()

    def secret(self, name: str, value: str) -> Self:
        """The value of a secret: `.secret("payments/psp-key", "hush")`. Said again while it runs, it has changed."""
        self._secrets.say(name, value)
        return self

    def given(self, contract: TypeForm[C]) -> Given[Self, C]:
        """A fake in the place of a contract's implementation."""
        return Given(self, contract)

    def _replace(self, contract: Any, fake: object) -> None:
        self.app.builders[contract] = lambda: fake
        self._fakes.add(contract)

    async def __aenter__(self) -> Self:
        Stage.entered += 1
        folder = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="enfilade-"))
        codec = {"plain": "never", "codec": "always"}.get(self.shape or "", self._config.codec)
        self.app.config = changed(self._config, folder=folder, codec=codec)
        play = Play(
            self.app, self._original, self.app.config, self.clock, self._seed, self._book, self._secrets, self._fakes
        )
        opened = {"rpc": open_apart, "split": open_split}.get(self.shape or "", open_whole)
        try:
            self._scene = await opened(play, self._exit)
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    # -- callers

    def acting(
        self, subject: str, *, scopes: Sequence[str] = (), roles: Sequence[str] = (), tenant: str = ""
    ) -> Caller:
        """A person, with a verified token of these scopes and roles."""
        return Caller(self, Principal(subject=subject, scopes=frozenset(scopes), roles=frozenset(roles), tenant=tenant))

    @property
    def nobody(self) -> Caller:
        """A caller without a token."""
        return Caller(self, None)

    def of(self, contract: TypeForm[C]) -> C:
        """A handle that calls as another service would: for operations that need `peers`."""
        return Caller(self, None, TESTS).of(contract)

    @property
    def http(self) -> httpx2.AsyncClient:
        """A client of the app's HTTP endpoints, without a network between."""
        if self._http is None:
            self._http = httpx2.AsyncClient(transport=self._scene.transport, base_url="http://app.test")
            self._exit.push_async_callback(self._http.aclose)
        return self._http

    # -- events and time

    def said(self, event: type[E]) -> tuple[E, ...]:
        """The events of a type that were committed so far, in order."""
        return self._book.said(event)

    async def hear(self, event: Event, *, source: str = TESTS) -> None:
        """Deliver an event as if another service had said it, and let everything that follows happen."""
        entry = Entry(
            id=uuid7(self.clock), topic=event_name(type(event)), source=source, key=event_key(event),
            at=self.clock.now(), body=codec(type(event)).encode(event), headers={},
        )  # fmt: skip
        await self._scene.hear(entry)

    async def settle(self) -> None:
        """Deliver what was published and is due, until nothing is left. Time does not move."""
        await self._scene.settle()

    async def advance(self, by: timedelta | float) -> None:
        """Move time, and let happen what becomes due on the way."""
        await self._scene.advance(by.total_seconds() if isinstance(by, timedelta) else by)

    async def rows(self, row: type[R]) -> tuple[R, ...]:
        """All rows of a type, of whichever service keeps it."""
        found = await self._scene.rows(row)
        if found is None:
            raise Misuse(f"no service of {self.app.name} has a Table[{row.__name__}].")
        return found

    @property
    def running(self) -> Running:
        """The app at work, for a look inside. Raises Misuse where the app is several processes."""
        if self.shape in ("rpc", "split"):
            raise Misuse(
                f"stage.running is one process, and in the shape {self.shape} there are several: ask by stage.rows, "
                'stage.said, stage.http or stage.of(Contract), or say Stage(..., shape="codec") for a look inside.'
            )
        return self._scene.mine
