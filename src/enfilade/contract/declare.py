"""The decorators of a contract. They only write down what was said; `read` makes sense of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from enfilade.contract.limit import Deprecated, Flow, Level, Rate
from enfilade.contract.need import Need
from enfilade.errors import Problem

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

Kind = Literal["query", "command"]
Names = Literal["snake", "camel"]


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What holds for each operation that does not say otherwise; `None` is the platform's own default."""

    needs: Need | None = None
    rate: tuple[Rate, ...] | None = None
    timeout: float | None = None
    idle: float | None = None
    body: int | str | None = None
    flow: Flow | None = None
    level: Level | None = None
    deprecated: Deprecated | None = None


@dataclass(frozen=True, kw_only=True)
class OperationSaid(Defaults):
    """What `@query` or `@command` said about a method."""

    kind: Kind
    route: str
    raises: tuple[type[Problem], ...] = ()
    status: int | None = None
    returns: str = ""
    idempotent: bool | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class ContractSaid(Defaults):
    """What `@contract` said about a class."""

    owner: str = ""
    version: int = 1
    names: Names = "snake"
    name: str = ""


SAID = "__enfilade__"


def contract(
    *,
    owner: str = "",
    version: int = 1,
    names: Names = "snake",
    name: str = "",
    needs: Need | None = None,
    rate: Rate | Sequence[Rate] | None = None,
    timeout: float | None = None,
    idle: float | None = None,
    body: int | str | None = None,
    flow: Flow | None = None,
    level: Level | None = None,
    deprecated: Deprecated | None = None,
) -> Callable[[C], C]:
    """Say what holds for a whole contract: who owns it, its version, and the defaults of its operations.

    `names="camel"` writes every field and parameter as camelCase on the wire. `name` is the service's name, by default
    the class's in kebab case. `timeout` and `idle` are seconds, `body` bytes or text such as `"1MiB"`,
    `flow` how long streams may become.
    """

    def say(cls: C) -> C:
        said = ContractSaid(
            owner=owner, version=version, names=names, name=name, needs=needs, rate=_rates(rate), timeout=timeout,
            idle=idle, body=body, flow=flow, level=level, deprecated=deprecated,
        )  # fmt: skip
        setattr(cls, SAID, said)
        return cls

    return say


def query(
    route: str = "",
    *,
    raises: Sequence[type[Problem]] = (),
    needs: Need | None = None,
    returns: str = "",
    status: int | None = None,
    rate: Rate | Sequence[Rate] | None = None,
    timeout: float | None = None,
    idle: float | None = None,
    body: int | str | None = None,
    flow: Flow | None = None,
    level: Level | None = None,
    deprecated: Deprecated | None = None,
    name: str = "",
) -> Callable[[F], F]:
    """An operation that changes nothing and may be asked again: `@query("GET /orders/{id}", raises=[UnknownOrder])`.

    Without a route it has no address of its own and is called by services only. `returns="order"` names the result on
    the wire: `{"order": {...}}`.
    """

    def say(method: F) -> F:
        said = OperationSaid(
            kind="query", route=route, raises=tuple(raises), needs=needs, returns=returns, status=status,
            rate=_rates(rate), timeout=timeout, idle=idle, body=body, flow=flow, level=level, deprecated=deprecated,
            name=name, idempotent=True,
        )  # fmt: skip
        setattr(method, SAID, said)
        return method

    return say


def command(
    route: str = "",
    *,
    raises: Sequence[type[Problem]] = (),
    needs: Need | None = None,
    returns: str = "",
    status: int | None = None,
    rate: Rate | Sequence[Rate] | None = None,
    timeout: float | None = None,
    idle: float | None = None,
    body: int | str | None = None,
    flow: Flow | None = None,
    idempotent: bool | None = None,
    level: Level | None = None,
    deprecated: Deprecated | None = None,
    name: str = "",
) -> Callable[[F], F]:
    """An operation that changes something: `@command("POST /orders", status=201, raises=[Unsellable])`.

    `idempotent=True` says that doing it twice is doing it once; it is the default of PUT and DELETE routes. Any other
    command can be repeated safely under an `Idempotency-Key`.
    """

    def say(method: F) -> F:
        said = OperationSaid(
            kind="command", route=route, raises=tuple(raises), needs=needs, returns=returns, status=status,
            rate=_rates(rate), timeout=timeout, idle=idle, body=body, flow=flow, idempotent=idempotent, level=level,
            deprecated=deprecated, name=name,
        )  # fmt: skip
        setattr(method, SAID, said)
        return method

    return say


def _rates(rate: Rate | Sequence[Rate] | None) -> tuple[Rate, ...] | None:
    if rate is None:
        return None
    return (rate,) if isinstance(rate, Rate) else tuple(rate)
