"""Versions of what was answered: entity tags, and requests that hold only for one of them (RFC 9110, 13)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from enfilade.contract.operation import Operation
from enfilade.contract.shape import shape
from enfilade.endpoint.http import Request
from enfilade.endpoint.rest.text import entity_tags
from enfilade.errors import Malformed, PreconditionFailed, PreconditionRequired

CODED = b"-gzip"
"""Ends the tag of an answer that is compressed: other bytes, so another strong tag, of the same version."""


def version_of(operation: Operation) -> Callable[[Any], int] | None:
    """Where the result's own version is, if it has one."""
    found = shape(operation.result)
    if found.struct is None or operation.style != "value":
        return None
    name = next((one.name for one in found.fields if one.shape.mark("version")), None)
    return None if name is None else lambda value: getattr(value, name)


def tag_of(body: bytes) -> bytes:
    """The tag of an answer without a version: a hash, so that the same bytes have the same tag in every process."""
    return b'"' + blake2b(body, digest_size=12).hexdigest().encode() + b'"'


def unchanged(request: Request, tag: bytes) -> bool:
    """Whether the client has this version already. Raises PreconditionFailed where it wants another one (If-Match)."""
    fields = request.fields
    wanted = fields.get(b"if-match")
    if wanted is not None and wanted != b"*" and _opaque(tag) not in _tags(wanted, strong=True):
        raise PreconditionFailed()
    known = fields.get(b"if-none-match")
    if known is None:
        return False
    return known.strip() == b"*" or known == tag or _opaque(tag) in _tags(known, strong=False)


def expected_version(field: bytes | None) -> int:
    """The version that `If-Match: "7"` names."""
    if field is None:
        raise PreconditionRequired()
    tags = entity_tags(field.decode("latin-1"))
    if tags is None or len(tags) != 1:
        raise Malformed(detail='If-Match names the one version to be changed, such as "7", as the ETag said it.')
    weak, opaque = tags[0]
    number = opaque.removesuffix(CODED.decode())
    if weak or not (number.isascii() and number.isdigit() and len(number) < 19):
        raise PreconditionFailed(detail="What has this ETag is no version that could be changed.")
    return int(number)


def _opaque(tag: bytes) -> str:
    return tag.strip(b'"').decode("latin-1")


def _tags(field: bytes, *, strong: bool) -> list[str]:
    found = entity_tags(field.decode("latin-1")) or []
    return [tag.removesuffix(CODED.decode()) for weak, tag in found if not (strong and weak)]
