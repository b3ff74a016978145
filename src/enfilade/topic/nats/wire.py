"""An event as a message of NATS, for all who want to hear it, whatever they are written in.

    stream    enfilade-orders
    subject   events.orders.OrderPlaced.ord_1    the event's name and its key
    body      the event, as JSON
    headers   CloudEvents 1.0, binary mode: ce-id, ce-source, ce-type, ce-subject, ce-time, ce-traceparent, ce-tenant

The key's part of the subject is percent-encoded, the dot too; `_` stands where there is no key. Values of headers are
percent-encoded as CloudEvents says for HTTP (3.1.3.2 of its binding): blanks, quotes, `%`, and what is not ASCII.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, unquote

from enfilade.store.outbox import Entry

PREFIX = "events"
"""First part of each subject."""
_LONGEST = 200
"""Characters of a key in a subject; a server takes lines of 4096."""
_PLAIN = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What stands for itself in a header, besides letters and digits."""
_FIXED = frozenset(("id", "source", "type", "subject", "time", "specversion", "timer"))


def stream_of(topic: str) -> str:
    """The stream of the contract that declares an event: `orders.OrderPlaced` is in `enfilade-orders`."""
    return f"enfilade-{topic.partition('.')[0]}"


def subjects_of(topic: str) -> str:
    """The subjects of all events of the contract that declares this one."""
    return f"{PREFIX}.{topic.partition('.')[0]}.>"


def filter_of(topic: str) -> str:
    """The subjects of one event, whatever its key."""
    return f"{PREFIX}.{topic}.>"


def subject_of(entry: Entry) -> str:
    key = quote(entry.key, safe="").replace(".", "%2E") or "_"
    if len(key) > _LONGEST:
        key = f"{key[: _LONGEST - 33].rstrip('%')}~{blake2b(key.encode(), digest_size=16).hexdigest()}"
    return f"{PREFIX}.{entry.topic}.{key}"


def headers_of(entry: Entry) -> dict[str, str]:
    """The message's headers; by `Nats-Msg-Id` the broker knows an event that it has."""
    headers = {
        "Nats-Msg-Id": entry.id,
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": entry.id,
        "ce-source": entry.source,
        "ce-type": entry.topic,
        "ce-time": entry.at.isoformat(),
    }
    if entry.key:
        headers["ce-subject"] = quote(entry.key, safe=_PLAIN)
    if entry.timer:
        headers["ce-timer"] = "1"
    for name, value in entry.headers.items():
        headers[f"ce-{name}"] = quote(value, safe=_PLAIN)
    return headers


def entry_of(message: Any, topic: str) -> Entry:
    """The event of a message. One that is not ours has what can be known of it; nothing is refused here."""
    given: Mapping[str, str] = message.headers or {}
    said = {name[3:]: unquote(value) for name, value in given.items() if name[:3] == "ce-"}
    place = message.reply.split(".")  # $JS.ACK.<stream>.<consumer>.<tries>.<seq>.<seq>.<nanoseconds>.<left>
    return Entry(
        id=said.get("id") or f"{place[-7]}:{place[-4]}",
        topic=topic,
        source=said.get("source", ""),
        key=said.get("subject", ""),
        at=_moment(said.get("time", "")) or datetime.fromtimestamp(int(place[-2]) / 1e9, UTC),
        timer="timer" in said,
        body=message.data,
        headers={name: value for name, value in said.items() if name not in _FIXED},
    )


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
