"""Cursors: where the next page starts, sealed, and good for one query of one caller only."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from enfilade.call import current_or_none
from enfilade.errors import FieldError, Invalid
from enfilade.store.columns import Column
from enfilade.store.dialect import Dialect

SEAL = 16
"""Bytes of the HMAC that a cursor carries: 128 bits, more than can be guessed."""
LONGEST = 4096
"""Characters of a cursor; none that was made by us comes near."""

_PYTHON: dict[str, Any] = {"datetime": datetime, "date": date, "decimal": Decimal, "uuid": UUID, "bytes": bytes}


def seal(secret: bytes, query: bytes, values: Sequence[Any]) -> str:
    """A cursor that starts after the row with these values of the order's columns."""
    body = msgspec.msgpack.encode(tuple(values))
    return _text(_mac(secret, query, body) + body)


def unseal(secret: bytes, query: bytes, cursor: str, columns: Sequence[Column], dialect: Dialect) -> tuple[Any, ...]:
    """The values of a cursor. Raises Invalid where it is not one of ours, or not of this query and caller."""
    try:
        raw = urlsafe_b64decode(cursor[:LONGEST].encode() + b"=" * (-len(cursor) % 4))
    except ValueError:
        raw = b""
    if _text(raw) != cursor:  # base64 passes over what it does not know
        raw = b""
    if not hmac.compare_digest(raw[:SEAL], _mac(secret, query, raw[SEAL:])):
        detail = "This is not a cursor of this query. Take `next` of a page as it is; leave it out for the first page."
        raise Invalid(errors=(FieldError(pointer="", detail=detail, parameter="after"),))
    kinds = tuple(Any if dialect.name == "sqlite" else _PYTHON.get(one.kind, Any) for one in columns)
    return msgspec.msgpack.decode(raw[SEAL:], type=tuple[kinds])


def query_of(sql: str, values: Sequence[Any]) -> bytes:
    """What a cursor is bound to: the operation, the caller, the tenant, and the query with its values."""
    call = current_or_none()
    caller = call.caller if call is not None else None
    about = (
        call.operation.id if call is not None else "",
        caller.subject if caller is not None else "",
        call.tenant if call is not None else "",
        sql,
        tuple(values),
    )
    return sha256(msgspec.msgpack.encode(about)).digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _mac(secret: bytes, query: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, b"enfilade cursor\0" + query + body, "sha256")[:SEAL]
