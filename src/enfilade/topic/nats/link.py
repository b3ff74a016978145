"""The connection to the broker, and the streams and durable consumers that are made there once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import msgspec

from enfilade.clock import Clock
from enfilade.errors import Finding, StartError
from enfilade.topic.nats.wire import filter_of, stream_of, subjects_of
from enfilade.topic.transport import Away

log = logging.getLogger("enfilade.topic")

OLDEST = (2, 14)
"""The first nats-server that lets a consumer begin again after what was acknowledged (ADR-60)."""
KEEP = 7 * 86400.0
"""Seconds for which a stream keeps its messages; inboxes remember as long what they have heard."""
AGAIN = 120.0
"""Seconds in which the broker knows an event that it has by its id."""
BEFORE = timedelta(hours=1)
"""What a consumer hears from before its first start: as long as a system may take to be started piece by piece."""
PATIENCE = 5.0
"""Seconds that the broker has for an answer."""
START = 2.0
"""Seconds that it has for the first one."""
ACK = 60.0
"""Seconds after which it gives a message again of which nobody said that it was taken."""


class Link:
    """One process's connection. It mends itself; `changed` is called whenever it was cut or is there again."""

    def __init__(self, url: str, name: str, clock: Clock) -> None:
        self._servers = [one.strip() for one in url.split(",")]
        self.where = ", ".join(urlsplit(one).netloc.rpartition("@")[2] or one for one in self._servers)
        """What it is called in messages: never a password."""
        self.listeners: list[Callable[[], None]] = []
        self.cuts = 0
        """How often it was cut: what was asked for before the last one is not answered any more."""
        self._name = name
        self._clock = clock
        self._there = asyncio.Event()
        self._streams: set[str] = set()
        self.connection: Any = None
        self.js: Any = None

    async def open(self) -> None:
        """Connect, and see that it keeps messages. Raises StartError, with the remedy."""
        try:
            client = import_module("nats.aio.client").Client()
        except ImportError:
            remedy = 'Install it: pip install "enfilade[nats]".'
            raise self._refused("NATS is asked for, and its client is not installed.", remedy) from None
        self._last: Exception | None = None
        try:
            async with asyncio.timeout(START):
                await client.connect(
                    servers=self._servers, name=self._name, max_reconnect_attempts=-1, reconnect_time_wait=0.2,
                    connect_timeout=2, ping_interval=5, error_cb=self._failed, disconnected_cb=self._cut,
                    reconnected_cb=self._back,
                )  # fmt: skip
        except Exception as error:
            await client.close()
            remedy = 'Start it, `nats-server -js`, or see that `events = "nats://host:4222"` names where it is.'
            raise self._refused(f"the broker does not answer ({self._last or error!r}).", remedy) from error
        self.connection, self.js = client, client.jetstream(timeout=PATIENCE)
        try:
            await self.js.account_info()
        except Exception as error:
            await self.close()
            remedy = "Start it with JetStream: `nats-server -js -sd FOLDER`."
            raise self._refused(f"the broker does not keep messages ({error!r}).", remedy) from error
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST:
            await self.close()
            raise self._refused(
                f"the broker is nats-server {version.major}.{version.minor}.", "It must be 2.14 or newer."
            )
        self._there.set()

    def _refused(self, what: str, remedy: str) -> StartError:
        return StartError([Finding(self.where, what, remedy, "events")])

    async def close(self) -> None:
        connection, self.connection = self.connection, None
        self._there.clear()
        if connection is None:
            return
        try:
            await connection.close()
        except Exception:  # it was cut off just now, and what it had to send is dropped; so it can be closed
            connection._status = connection.DISCONNECTED
            await connection.close()

    @property
    def there(self) -> bool:
        return self._there.is_set()

    async def ready(self) -> None:
        """Till it is there."""
        await self._there.wait()

    async def stream(self, topic: str) -> None:
        """Make the stream of an event if it is not there. One that is keeps what its operator made of it."""
        name = stream_of(topic)
        if name in self._streams:
            return
        try:
            await self.js.stream_info(name)
        except _errors().NotFoundError:
            # No message goes before its time: where there is no room, events stay in the outboxes.
            await self.js.add_stream(
                name=name, subjects=[subjects_of(topic)], max_age=KEEP, discard="new", duplicate_window=AGAIN
            )
        self._streams.add(name)

    async def consumer(self, durable: str, topic: str) -> None:
        """Make the durable consumer of an event if it is not there."""
        stream = stream_of(topic)
        await self.stream(topic)
        try:
            await self.js.consumer_info(stream, durable)
        except _errors().NotFoundError:
            await self.js.add_consumer(
                stream, durable_name=durable, filter_subject=filter_of(topic), ack_policy="all", ack_wait=ACK,
                deliver_policy="by_start_time", opt_start_time=(self._clock.now() - BEFORE).isoformat(),
            )  # fmt: skip

    async def rewind(self, durable: str, topic: str) -> None:
        """Let a consumer begin after what was acknowledged.

        What was given to a process that is no more comes first then, and nothing of the same key overtakes it.
        """
        subject = f"$JS.API.CONSUMER.RESET.{stream_of(topic)}.{durable}"
        said = await self.connection.request(subject, b"", timeout=PATIENCE)
        if (wrong := msgspec.json.decode(said.data).get("error")) is not None:
            raise Away(f"{durable}: {wrong}")

    def forget(self) -> None:
        """Look anew whether the streams are there."""
        self._streams.clear()

    async def _failed(self, error: Exception) -> None:
        self._last = error

    async def _cut(self) -> None:
        if self._there.is_set():
            log.warning("the broker at %s is gone: events stay in the outboxes until it is back", self.where)
        self._there.clear()
        self._change()

    async def _back(self) -> None:
        log.info("the broker at %s is back", self.where)
        self.forget()
        self._there.set()
        self._change()

    def _change(self) -> None:
        self.cuts += 1
        for listener in self.listeners:
            listener()


def _errors() -> Any:
    return import_module("nats.js.errors")
