"""What a contract says once it is read: the model that every other part of the platform works from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from enfilade.contract.declare import Kind, Names
from enfilade.contract.limit import FLOW, Deprecated, Flow, Level, Rate
from enfilade.contract.need import Need
from enfilade.contract.page import Page
from enfilade.errors import Problem

Place = Literal["path", "query", "header", "if-match", "member", "body"]
"""Where REST finds a parameter; `member` is a member of the JSON body, `body` the whole of it."""

Style = Literal["value", "nothing", "page", "stream", "blob", "bytes"]
"""What the return type means: `T`, `None`, `Page[T]`, `Stream[T]`, `Blob`, `Stream[bytes]`."""

REQUIRED: Final = msgspec.NODEFAULT


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of an operation."""

    name: str
    wire: str
    """Its name in JSON, in the query, in the header or in the path."""
    type: Any
    """The annotation, marks included."""
    default: Any = REQUIRED
    place: Place
    sensitive: bool = False
    key: bool = False

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, eq=False, kw_only=True)
class Operation:
    """One operation of a contract, with everything that was declared or follows from its signature."""

    id: str
    """`orders.place`: the same name in code, docs, logs, spans and metrics."""
    service: str
    """`orders`."""
    name: str
    """`place`: the method's name."""
    kind: Kind
    summary: str
    description: str
    method: str
    """`POST`; `""` where the operation has no route."""
    path: str
    """`/orders/{id}`; `""` where the operation has no route."""
    parameters: tuple[Parameter, ...]
    defaults: Mapping[str, object]
    """Values of the parameters that have one."""
    request: type[msgspec.Struct]
    """The request message: all parameters, by their wire names."""
    result: Any
    """What is returned: `T` of `T`, `Page[T]`, the item of a `Stream[T]`, `NoneType`."""
    style: Style
    returns: str
    """Name of the result on the wire; `""` sends it bare."""
    status: int
    raises: tuple[type[Problem], ...]
    needs: Need
    rates: tuple[Rate, ...]
    timeout: float
    """Seconds for the whole call; of a stream, till its first item."""
    idle: float
    """Seconds between two items of a stream."""
    body_limit: int
    """Bytes that a request body may have."""
    flow: Flow = FLOW
    """How much of a stream there may be."""
    idempotent: bool
    """Doing it twice is doing it once."""
    deprecated: Deprecated | None
    level: Level | None
    names: Names
    where: str
    """`file:line` of the method."""
    fingerprint: str = ""
    """Stable hash of all that a peer relies on."""

    @property
    def reply(self) -> Any:
        """The type of what the method gives as a whole: of a page `Page[T]`, of a stream still its items."""
        return Page[self.result] if self.style == "page" else self.result


@dataclass(frozen=True, eq=False, kw_only=True)
class Contract:
    """A contract as it was read."""

    name: str
    """The service's name: `orders`."""
    type: type
    """The Protocol class."""
    owner: str
    version: int
    names: Names
    summary: str
    description: str
    operations: tuple[Operation, ...]
    where: str
    fingerprint: str = ""
    roles: tuple[type, ...] = field(default=())
    """Contracts that this one includes by inheritance; whoever serves it serves them."""

    def operation(self, name: str) -> Operation:
        """The operation of this method name."""
        return next(one for one in self.operations if one.name == name)
