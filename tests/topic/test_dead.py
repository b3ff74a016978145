"""Dead letters as people may read them."""

from __future__ import annotations

from datetime import UTC, datetime

from enfilade.contract.marks import Sensitive
from enfilade.contract.message import Event
from enfilade.store import Dead, Entry
from enfilade.topic import readable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class CardAdded(Event, key="owner"):
    owner: str
    card: Sensitive[str]


def dead(body: bytes) -> Dead:
    entry = Entry(id="1", topic="cards.CardAdded", source="cards", at=NOW, body=body, headers={})
    return Dead(id="mail.tell/1", consumer="mail.tell", entry=entry, tries=10, error="RuntimeError", at=NOW)


def test_what_is_sensitive_in_a_dead_letter_is_masked() -> None:
    shown = readable(dead(b'{"owner":"ann","card":"4111111111111111","later":1}'), CardAdded)

    assert shown == '{"owner":"ann","card":"***"}'


def test_what_cannot_be_read_is_not_shown() -> None:
    assert readable(dead(b'{"card":"4111111111111111"}'), CardAdded) == "(27 bytes that cannot be read as an event)"
    assert readable(dead(b"no json"), CardAdded) == "(7 bytes that cannot be read as an event)"
    assert readable(dead(b"{}"), None) == "(2 bytes that cannot be read as an event)"
