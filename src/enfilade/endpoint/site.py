"""What an endpoint is given by the app, and what the app asks of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from enfilade.call import Handler
from enfilade.clock import Clock
from enfilade.config import Config
from enfilade.contract.compare import Talk
from enfilade.contract.operation import Contract
from enfilade.endpoint.http import Request, Response
from enfilade.store.blobs import Blobs
from enfilade.trace.recorder import Recorder


@dataclass(frozen=True, kw_only=True)
class Site:
    """The running app, as far as an endpoint needs to know it."""

    name: str
    config: Config = field(default_factory=Config)
    contracts: tuple[Contract, ...]
    handlers: Mapping[str, Handler]
    """By operation id: the whole row of stations with the service at its end."""
    inside: Mapping[str, Handler] = field(default_factory=dict[str, Handler])
    """The rows that calls between services pass, of those that are served in this process."""
    callers: Callable[[str], Container[str]] = lambda _: ()
    """Who may call a service as a peer."""
    clock: Clock
    recorder: Recorder
    blobs: Blobs
    unready: Callable[[], tuple[str, ...]]
    """What this process still waits for, by name; empty when it is ready."""
    others: Callable[[], Awaitable[tuple[str, ...]]] | None = None
    """What the other processes of the app wait for, where somebody here knows them all."""
    talk: Callable[[], Mapping[str, Talk]] = dict[str, Talk]
    """What the services in this process say and hear, by their names."""
    url: str = ""
    """What it is reached by from outside, as settings say it; empty where only requests say it."""
    issuers: tuple[str, ...] = ()
    """Addresses of those whose tokens are believed, and who can be asked for one."""
    only: frozenset[str] | None = None
    """The services whose addresses are known here; None for all. What is said of the app is of all in any case."""

    def answers(self, service: str) -> bool:
        """Whether addresses of this service are known here."""
        return self.only is None or service in self.only


class HttpEndpoint(Protocol):
    """A binding that speaks HTTP, such as `rest("/")`: a value in the app's list of endpoints."""

    def serve(self, site: Site) -> Served: ...


class Served(Protocol):
    """An endpoint at work."""

    prefix: str
    """What its addresses begin with, `""` for the root: who knows nothing of a path leaves it to the longest one."""

    def knows(self, method: str, path: str) -> bool:
        """Whether this exact method and path (as on the wire) are its own, so that mounted apps may have the rest."""
        ...

    def answer(self, request: Request) -> Awaitable[Response]:
        """Answers anything, what it does not know with a problem document."""
        ...


def choose(served: Sequence[Served], method: str, path: str) -> Served:
    """The endpoint that knows a method and path, or else the one whose prefix fits best."""
    for one in served:
        if one.knows(method, path):
            return one
    below = [one for one in served if not one.prefix or path == one.prefix or path.startswith(f"{one.prefix}/")]
    return max(below or served, key=lambda one: len(one.prefix))
