"""What is read of a request: parameters that stand once, how a client proves who it is, the browser's cookie."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote_plus

import msgspec

from enfilade.contract.message import Message
from enfilade.endpoint.http import Request
from enfilade.endpoint.rest.body import check_length, pieces
from enfilade.endpoint.rest.text import pairs, parameters
from enfilade.errors import Forbidden, Malformed, UnsupportedMedia
from enfilade.identity.provider.messages import (
    AuthorizationRequest,
    ClientMetadata,
    Credentials,
    DeviceRequest,
    Goal,
)
from enfilade.identity.provider.problems import BadClient

M = TypeVar("M", bound=Message)

_LIMIT: Final = 64 * 1024
"""Bytes of a body."""
_MANY: Final = ("resource", "audience")
"""What may be said more than once (RFC 8707, 2; RFC 8693, 2.1)."""
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_COOKIE: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Form:
    """Parameters by their names. A parameter without a value is as one that is not there (RFC 6749, 3.1)."""

    said: Mapping[str, tuple[str, ...]]

    def get(self, name: str) -> str:
        """The value of a parameter, `""` where there is none. Raises Malformed where it stands twice."""
        values = self.said.get(name, ())
        if len(values) > 1:
            raise Malformed(detail=f"{name} stands twice.")
        return values[0] if values else ""

    def all(self, name: str) -> tuple[str, ...]:
        return self.said.get(name, ())

    def into(self, kind: type[M]) -> M:
        """A message of the parameters that it has; others are passed over, as the standards want it."""
        fields: tuple[str, ...] = cast("Any", kind).__struct_fields__
        said: dict[str, Any] = {name: self.get(name) for name in fields if name in self.said and name not in _MANY}
        said |= {name: self.all(name) for name in fields if name in _MANY}
        return kind(**said)

    def goal(self) -> Goal:
        """What somebody came for."""
        if "user_code" in self.said:
            return DeviceRequest(user_code=self.get("user_code")[:32])
        return self.into(AuthorizationRequest)


def query(request: Request) -> Form:
    """The parameters of the address."""
    return _form(request.query)


async def body(request: Request) -> Form:
    """The parameters of the body (RFC 6749, appendix B)."""
    return _form(await _read(request, "application/x-www-form-urlencoded"))


async def metadata(request: Request) -> ClientMetadata:
    """What a client says of itself, in JSON (RFC 7591, 3.1)."""
    try:
        text = await _read(request, "application/json")
        if b"\\u0000" in text:
            raise Malformed(detail="Text has no NUL.")
        said = msgspec.json.decode(text, type=dict[str, Any])
        keys = msgspec.json.encode(said.pop("jwks")).decode() if "jwks" in said else ""
        fields: tuple[str, ...] = cast("Any", ClientMetadata).__struct_fields__
        known = {name: value for name, value in said.items() if name in fields and value is not None}
        return msgspec.convert(known | {"jwks": keys}, ClientMetadata)
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise Malformed(detail="This is not the metadata of a client.") from wrong


def credentials(request: Request, form: Form) -> Credentials:
    """How the client says who it is, in one way only (RFC 6749, 2.3)."""
    id, secret, assertion = form.get("client_id"), form.get("client_secret"), form.get("client_assertion")
    scheme, _, value = request.header(b"authorization").partition(" ")
    if scheme.lower() == "basic":
        if secret or assertion:
            raise Malformed(detail="The client proves in two ways who it is.")
        name, secret = _basic(value)
        if id not in ("", name):
            raise Malformed(detail="The client names itself twice, and not alike.")
        id = name
    elif scheme:
        raise BadClient()
    if assertion and form.get("client_assertion_type") != _ASSERTION:
        raise BadClient()
    return Credentials(client_id=id, client_secret=secret, client_assertion=assertion)


def bearer(request: Request, form: Form | None = None) -> str:
    """The access token of a request (RFC 6750, 2.1 and 2.2); `""` where there is none."""
    scheme, _, token = request.header(b"authorization").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return form.get("access_token") if form is not None and not scheme else ""


def cookie(request: Request, name: str) -> str:
    """The browser's cookie of this name, if it may be one of ours."""
    for part in request.header(b"cookie").split(";"):
        said, _, value = part.strip().partition("=")
        if said == name and _COOKIE.fullmatch(value):
            return value
    return ""


def check_site(request: Request) -> None:
    """Raises Forbidden where a browser says that the form was another site's (Fetch Metadata)."""
    if request.header(b"sec-fetch-site") not in ("", "same-origin", "none"):
        raise Forbidden(detail="Forms of other sites are not taken here.")


def _form(text: bytes) -> Form:
    said = {name: tuple(one for one in values if one) for name, values in pairs(text).items() if any(values)}
    if any("\0" in one for values in said.values() for one in values):
        raise Malformed(detail="Text has no NUL.")
    return Form(said)


async def _read(request: Request, kind: str) -> bytes:
    if parameters(request.header(b"content-type"))[0] != kind:
        raise UnsupportedMedia(detail=f"The body is to be {kind}.")
    check_length(request, _LIMIT)
    return b"".join([piece async for piece in pieces(request, _LIMIT)])


def _basic(value: str) -> tuple[str, str]:
    try:
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise BadClient() from None
    if not colon or "\0" in name + secret:
        raise BadClient()
    return unquote_plus(name), unquote_plus(secret)
