"""What the platform gives to services: who is believed, where files lie, clients and pools."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from enfilade.clock import Clock
from enfilade.config import Config
from enfilade.errors import Finding, StartError
from enfilade.guard import Trail
from enfilade.identity import DevelopmentIssuer, Fetch, Issuer, Passwords, Sessions, Tokens, Verifier
from enfilade.identity.provider import Provider, ProviderSettings
from enfilade.identity.provider.own import Own
from enfilade.identity.provider.seal import Host
from enfilade.outbound import Http, Reach
from enfilade.placement import Placement
from enfilade.secrets import Secrets, Source, Unreadable, kept
from enfilade.secrets.seal import DATA_KEY, DataKeys, made_key
from enfilade.secrets.source import sources_of
from enfilade.service.pools import Processes, Threads
from enfilade.store import Database, Store, open_store
from enfilade.store.blobs import Blobs, FolderBlobs, MemoryBlobs
from enfilade.topic import Local, Transport
from enfilade.topic.nats import Nats
from enfilade.trace.collector import Collector
from enfilade.trace.feed import Feed
from enfilade.trace.file import TraceFile
from enfilade.trace.process import watch_process
from enfilade.trace.recorder import Recorder

log = logging.getLogger("enfilade.secrets")

_LEARNED: Final = 120.0
"""Seconds after which every process has a new data key: what a look at a vault and a wait for a change take at most."""


class Supplies:
    """One app's; what it opens is closed with `closing`."""

    def __init__(
        self,
        name: str,
        config: Config,
        clock: Clock,
        closing: AsyncExitStack,
        sources: Sequence[Source] = (),
        own: Own | None = None,
        process: str = "",
    ) -> None:
        """`sources` are asked for secrets before those of the configuration: tests. `own` is the app's own provider,
        `process` the name of this process where there are several."""
        self._name = name
        self._config = config
        self._clock = clock
        self._closing = closing
        self._folder = Path(config.folder)
        self._secret = secret_of(config)
        self.secrets = Secrets((*sources, *sources_of(config.secret_sources, clock)), clock)
        closing.push_async_callback(self.secrets.aclose)
        self._stored: dict[str, str] = {}
        """The services whose stores were asked for, by the files of those."""
        self.recorder = Recorder(
            clock, service=name, process=process, enabled=config.trace.enabled, sample=config.trace.sample
        )
        memory = config.data_url == "sqlite::memory:" and not config.blobs
        self.blobs: Blobs = MemoryBlobs() if memory else FolderBlobs(Path(config.blobs or self._folder / "blobs"))
        self.passwords = Passwords(clock)
        self.sessions: Sessions | None = None
        """Made when a service asks for it: without one nobody is known by a cookie."""
        developer = developer_of(config, name)
        self.tokens = None if developer is None else Tokens(developer, clock)
        issuers = believed(config, name, developer, own)
        asked = {address for one in config.issuers for address in (one.url, one.jwks_url) if address[:4] == "http"}
        fetch: Fetch = self.remote(*asked).read
        if own is not None and all(one.url != own.settings.issuer for one in config.issuers):
            fetch = own.fetch(fetch)
        self.verifier = Verifier(issuers, clock, fetch=fetch)
        self.issuers = tuple(one.url for one in issuers if one.url[:4] == "http")
        """Addresses of those who can be asked for a token."""

    def store(self, service: str) -> Store:
        """The store of a service, not open yet."""
        url = self._config.data_of(service)
        if url.startswith("sqlite:") and url != "sqlite::memory:":
            other = self._stored.setdefault(url.replace("{service}", service), service)
            if other != service:
                what = f"data = {url!r} is one file, but {other} and {service} each have their own."
                remedy = 'Let its name have the service\'s in it: data = "sqlite:data/{service}.db".'
                raise StartError([Finding("enfilade.toml", what, remedy, "data")])
        return open_store(
            url, service, clock=self._clock, recorder=self.recorder, secret=self._secret,
            synchronous=self._config.synchronous,
        )  # fmt: skip

    def transport(self) -> Transport:
        """What carries events: nothing but this process, or a broker."""
        url = self._config.events
        if not url:
            return Local()
        if url.partition("://")[0] not in ("nats", "tls"):
            remedy = 'Write events = "nats://host:4222", or leave it out where one process serves all.'
            raise StartError([Finding("enfilade.toml", f"{url!r} is no broker for events.", remedy, "events")])
        return Nats(url, clock=self._clock, name=self._name)

    def http(self, kind: type[Http] = Http) -> Http:
        """A service's outbound client, closed with the app: for what is public, and what the operator opened to all."""
        try:
            reach = Reach(self._config.outbound.allow, self._config.outbound.ports)
        except ValueError as wrong:
            remedy = 'Write what may be asked, such as allow = ["psp.internal:8443", "10.2.0.0/16"].'
            raise StartError([Finding("[outbound]", f"allow: {wrong}.", remedy, "settings")]) from wrong
        return self._closed(kind(self.recorder, reach))

    def remote(self, *urls: str) -> Http:
        """A client for the platform's own calls to what the operator wrote down; no service gets it, so that nobody
        talks a service into asking there."""
        try:
            reach = Reach.to(*urls)
        except ValueError as wrong:
            remedy = 'Write an address, such as "https://psp.example/v1".'
            raise StartError([Finding("enfilade.toml", f"{wrong}.", remedy, "settings")]) from wrong
        return self._closed(Http(self.recorder, reach))

    def singles(self, store: Store | None) -> Mapping[type, Callable[[Any], Any]]:
        """What one service may ask for by type, a class that inherits it included."""
        singles: dict[type, Callable[[Any], Any]] = {
            Http: self.http,
            Threads: lambda kind: self._closed(kind(self._config.threads)),
            Processes: lambda kind: self._closed(kind(self._config.processes)),
            Passwords: lambda _: self.passwords,
            Sessions: lambda _: self.in_cookies(),
            Verifier: lambda _: self.verifier,
            Blobs: lambda _: self.blobs,
            Clock: lambda _: self._clock,
            Host: lambda _: host_of(self._config, self._name, self.secrets),
        }
        if store is not None:
            singles[Database] = lambda _: store.database
        return singles

    def in_cookies(self) -> Sessions:
        """By what people are known who have a cookie."""
        if self.sessions is None:
            said = self._config.sessions
            self.sessions = Sessions(self._secret, self._clock, life=said.life, origins=said.origins)
        return self.sessions

    async def data_keys(self) -> DataKeys:
        """What `Encrypted` fields are sealed with; in development made of the app's secret where no source has it.

        Raises StartError.
        """
        try:
            said = await self.secrets.find(DATA_KEY)
            if said is None and self._config.development:
                return DataKeys(made_key(self._secret))
            return DataKeys(said or "")
        except Unreadable as wrong:
            raise StartError([Finding("secrets", f"{wrong.what}.", wrong.remedy, "secret")]) from wrong
        except ValueError as wrong:
            remedy = "Make it by `enfilade secrets rotate enfilade/data-key`, or see docs/secrets.md."
            what = f"fields are encrypted with the secret {DATA_KEY}, and {wrong}."
            raise StartError([Finding("secrets", what, remedy, "secret")]) from wrong

    async def follow(self, keys: DataKeys) -> None:
        """Take up new versions: to read with at once, to write with when other processes will have them, too."""
        known = await self.secrets.find(DATA_KEY) or ""
        while True:
            known = await self.secrets.changed(DATA_KEY, known)
            try:
                keys.learn(known)
            except ValueError as wrong:
                log.error("the new value of %s is not used: %s", DATA_KEY, wrong)  # noqa: TRY400  (shows the value)
                continue
            await self._clock.sleep(_LEARNED)
            keys.promote()

    async def record(self) -> None:
        """Send spans on beside keeping them: to the trace file, to a collector; and watch the process."""
        trace = self._config.trace
        if not trace.enabled:
            return
        watch_process(self.recorder.metrics, self._clock)
        if trace.file:
            file = TraceFile(self._folder / "traces")
            await self._closing.enter_async_context(Feed(self.recorder, file, name="file"))
        if trace.otlp:
            try:
                resource = {"service.name": self._name, "service.instance.id": self.recorder.process}
                collector = Collector(trace.otlp, resource=resource)
            except ValueError as wrong:
                remedy = 'Write its base URL, such as otlp = "http://127.0.0.1:4318", or leave it out.'
                raise StartError([Finding("[trace]", f"otlp: {wrong}.", remedy, "settings")]) from wrong
            await self._closing.enter_async_context(Feed(self.recorder, collector, name="otlp"))

    def trail(self) -> Trail | None:
        """The audit on disk, closed after all that is audited."""
        if not self._config.audit.file:
            return None
        try:
            return self._closed(Trail(self._folder / "audit", self._secret, self._clock, size=self._config.audit.size))
        except OSError as wrong:
            remedy = f"Make {self._folder} a directory that this user can write, or say file = false under [audit]."
            raise StartError([Finding("[audit]", f"it cannot be written: {wrong}.", remedy, "audit")]) from wrong

    def _closed(self, thing: Any) -> Any:
        self._closing.push_async_callback(thing.aclose)
        return thing


def developer_of(config: Config, name: str) -> DevelopmentIssuer | None:
    """Who signs tokens on a developer's machine."""
    return DevelopmentIssuer(Path(config.folder), config.audience or name) if config.development else None


def believed(config: Config, name: str, developer: DevelopmentIssuer | None, own: Own | None) -> tuple[Issuer, ...]:
    """Whose tokens are taken: what the configuration says, the developer's, and those of the app's own provider."""
    issuers = [*config.issuers, *([] if developer is None else [developer.issuer])]
    if own is not None and all(one.url != own.settings.issuer for one in issuers):
        issuers.append(own.issuer(config.audience or name))
    return tuple(issuers)


def provider_of(placement: Placement, config: Config, ask: Callable[[], Provider]) -> Own | None:
    """The app's own provider, where it has one. Raises StartError."""
    for name, placed in placement.services.items():
        if placed.contract.type is Provider and not placed.at:
            settings = config.settings(name, ProviderSettings)
            try:
                return Own(settings.at(config.address), ask)
            except ValueError as wrong:
                remedy = 'Say what the app is reached by: url = "https://shop.example".'
                raise StartError([Finding(f"[service.{name}]", f"{wrong}.", remedy, "settings")]) from wrong
    return None


def host_of(config: Config, name: str, secrets: Secrets | None = None) -> Host:
    """What the provider is told of an app."""
    return Host(config.audience or name, secret_of(config), config.address, secrets)


_LETTERS = 8
"""Different characters of a secret: "changeme" has seven, however often it is said, and 32 random digits more."""


def secret_of(config: Config) -> bytes:
    """The app's secret. In development one is made where none is said, and kept in the folder."""
    if not config.development and (len(config.secret) < 32 or len(set(config.secret)) < _LETTERS):
        remedy = "Set ENFILADE_SECRET to 32 random characters or more, the same in every process of the app."
        what = "outside development the app needs a secret that nobody guesses."
        raise StartError([Finding("enfilade.toml", what, remedy, "secret")])
    if config.secret:
        return config.secret.encode()
    try:
        return kept.once(Path(config.folder) / "secret", lambda: secrets.token_hex(32).encode())
    except OSError as wrong:
        remedy = f"Make {config.folder} a directory that this user can write, or say another `folder` in enfilade.toml."
        what = f"the app's secret cannot be kept there: {wrong}"
        raise StartError([Finding(config.folder, what, remedy, "secret")]) from wrong
