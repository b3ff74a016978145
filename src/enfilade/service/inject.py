"""Injection by type: what a constructor's annotations ask for is what a service is given.

The annotations are the declared service map; `wants` reads them without building anything.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from enfilade.config import Config
from enfilade.contract.declare import SAID
from enfilade.contract.message import Event
from enfilade.errors import Finding, StartError
from enfilade.secrets import Secret, Secrets
from enfilade.service.find import place
from enfilade.settings import Settings
from enfilade.store import Row, Store, Table
from enfilade.topic import Topic

Kind = Literal["contract", "table", "topic", "settings", "secret", "resource", "other"]


@dataclass(frozen=True)
class Want:
    """One parameter of a constructor."""

    name: str
    type: Any
    kind: Kind
    optional: bool
    """`X | None`: may be absent."""
    default: bool
    """The parameter has a default, used where nothing of its type can be given."""
    secret: Secret | None = None
    """The secret that is its default."""


def is_contract(kind: object) -> bool:
    """Whether a type is a contract: a Protocol with declared operations."""
    if not isinstance(kind, type) or not getattr(kind, "_is_protocol", False):
        return False
    return any(hasattr(member, SAID) for one in kind.__mro__ for member in vars(one).values())


def wants(build: Callable[..., Any]) -> tuple[Want, ...]:
    """What a class or a function asks for, in order."""
    target: Callable[..., Any] = build
    if isinstance(build, type):
        kind = cast("type[Any]", build)
        if dataclasses.is_dataclass(kind):
            return _fields(kind)
        own = _constructor(kind)
        if own is None:
            return ()
        target = own
    hints = get_type_hints(target, include_extras=True)
    found: list[Want] = []
    for parameter in inspect.signature(build).parameters.values():
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        if parameter.name not in hints:
            what = f"{build.__name__} takes {parameter.name} and does not say of which type."
            raise StartError([Finding(place(build), what, "Annotate it: things are injected by type.", "injection")])
        said = parameter.default is not inspect.Parameter.empty
        found.append(_want(parameter.name, hints[parameter.name], said, parameter.default))
    return tuple(found)


def _fields(kind: type[Any]) -> tuple[Want, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        _want(one.name, hints[one.name], one.default is not dataclasses.MISSING or _made(one), one.default)
        for one in dataclasses.fields(kind)
        if one.init
    )


def _constructor(kind: type[Any]) -> Callable[..., Any] | None:
    """The `__init__` that a user wrote; a Protocol and `object` bring one that asks for nothing."""
    for one in kind.__mro__:
        if "__init__" in vars(one) and one is not object and not getattr(one, "_is_protocol", False):
            return vars(one)["__init__"]
    return None


def _made(one: dataclasses.Field[Any]) -> bool:
    return one.default_factory is not dataclasses.MISSING


def _want(name: str, hint: Any, default: bool, value: object) -> Want:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    optional = False
    if get_origin(hint) in (Union, types.UnionType):
        rest = [one for one in get_args(hint) if one is not types.NoneType]
        optional = len(rest) < len(get_args(hint))
        hint = rest[0] if len(rest) == 1 else hint
    return Want(name, hint, _kind(hint), optional, default, value if isinstance(value, Secret) else None)


def _kind(hint: Any) -> Kind:
    origin = get_origin(hint) or hint
    if is_contract(hint):
        return "contract"
    if origin is Table:
        return "table"
    if origin is Topic:
        return "topic"
    if isinstance(hint, type):
        kind = cast("type[Any]", hint)
        if issubclass(kind, Settings):
            return "settings"
        if issubclass(kind, Secret):
            return "secret"
        if hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__"):
            return "resource"
    return "other"


def secrets_of(
    build: Callable[..., Any], provided: Mapping[Any, Callable[..., Any]]
) -> Iterator[tuple[str, str, bool]]:
    """The secrets that a class asks for, and what it is given: (where, name, whether it may be absent)."""
    for asking, want in _all(build, provided):
        if want.secret is not None:
            yield place(asking), want.secret.name, want.optional


def topics_of(build: Callable[..., Any], provided: Mapping[Any, Callable[..., Any]]) -> Iterator[type[Event]]:
    """The events that a class says, and what it is given."""
    for _, want in _all(build, provided):
        if want.kind == "topic":
            yield from (one for one in get_args(want.type) if isinstance(one, type) and issubclass(one, Event))


def _all(
    build: Callable[..., Any], provided: Mapping[Any, Callable[..., Any]], inside: tuple[Any, ...] = ()
) -> Iterator[tuple[Callable[..., Any], Want]]:
    """What a class asks for, and what that asks for which it is given; each with who asks."""
    if build in inside:
        return
    for want in wants(build):
        if want.type in provided:
            yield from _all(provided[want.type], provided, (*inside, build))
            continue
        yield build, want
        if want.kind == "resource" and want.secret is None:
            yield from _all(want.type, provided, (*inside, build))


@dataclass
class Injector:
    """Builds what one service asks for, once each, and remembers in which order."""

    service: str
    config: Config
    store: Store | None
    contracts: Callable[[type], Any | None]
    """The handle of a contract, or None where nobody serves it."""
    topic: Callable[[Any, str], Topic[Any]]
    """Makes the topic of an event that the service says."""
    singles: Mapping[type, Callable[[Any], Any]]
    """What the platform gives to each service: `Http`, `Threads`, ..., or a class of the user's that inherits it."""
    secrets: Secrets
    provided: Mapping[Any, Callable[..., Any]]
    """What the app provides by `app.provide(kind).by(build)`."""
    resources: list[Any] = field(default_factory=list[Any])
    """Async context managers in the order in which they are to be entered."""
    findings: list[Finding] = field(default_factory=list[Finding])
    _built: dict[Any, Any] = field(default_factory=dict[Any, Any])
    _building: list[Any] = field(default_factory=list[Any])

    def build(self, make: Callable[..., Any]) -> Any:
        """The object that `make` makes, with everything it asks for; None where something is missing (see findings)."""
        if make in self._building:
            chain: str = " -> ".join(_shown(one) for one in [*self._building, make])
            self._miss(make, f"{chain} need one another.", "Break the circle: let one of them not ask for the other.")
            return None
        self._building.append(make)
        try:
            given: dict[str, Any] = {}
            before = len(self.findings)
            for want in wants(make):
                value = self._supply(make, want)
                if value is not _ABSENT:
                    given[want.name] = value
            if len(self.findings) > before:
                return None
            made = make(**given)
            if hasattr(made, "__aenter__") and hasattr(made, "__aexit__"):
                self.resources.append(made)
            return made
        finally:
            self._building.pop()

    def _supply(self, make: Callable[..., Any], want: Want) -> Any:
        if want.kind == "secret":
            return self._secret(make, want)
        if want.type in self._built:
            return self._built[want.type]
        value = self._find(want)
        if value is _ABSENT and not want.default:
            if want.optional:
                return None
            self._miss(
                make,
                f"{make.__name__} asks for {want.name}: {_shown(want.type)}, and {self._why(want)}",
                self._remedy(want),
            )
        elif value is not _ABSENT:
            self._built[want.type] = value
        return value

    def _find(self, want: Want) -> Any:
        if want.type in self.provided:
            return self.build(self.provided[want.type])
        match want.kind:
            case "contract":
                return self.contracts(want.type) or _ABSENT
            case "table" | "topic":
                return self._stored(want)
            case "settings":
                return self._settings(want)
            case _:
                for single in want.type.__mro__ if isinstance(want.type, type) else ():
                    if single in self.singles:
                        return self.singles[single](want.type)
                return self.build(want.type) if want.kind == "resource" else _ABSENT

    def _secret(self, make: Callable[..., Any], want: Want) -> Any:
        """The secret that the default names, bound; whether there is one, the start has found out before."""
        if want.secret is not None:
            gone = want.optional and want.secret.name in self.secrets.absent
            return None if gone else self.secrets.bind(want.secret)
        if not want.optional:
            what = f"{make.__name__} asks for the secret {want.name}, and does not say which."
            self._miss(make, what, unnamed(want.name))
        return None

    def _stored(self, want: Want) -> Any:
        (of,) = get_args(want.type)
        if want.kind == "topic" and isinstance(of, type) and issubclass(of, Event):
            return self.topic(of, self.service)
        if want.kind == "table" and isinstance(of, type) and issubclass(of, Row) and self.store is not None:
            return self.store.table(of)
        return _ABSENT

    def _settings(self, want: Want) -> Any:
        try:
            return self.config.settings(self.service, want.type)
        except StartError as wrong:
            if not want.optional:
                self.findings.extend(wrong.findings)
            return None

    def _why(self, want: Want) -> str:
        match want.kind:
            case "contract":
                return "nobody serves that contract."
            case _:
                return "nothing of that type can be given."

    def _remedy(self, want: Want) -> str:
        match want.kind:
            case "contract":
                name = _shown(want.type)
                return f"Add {name} to the services of the app, or one that plays that role, or ask for {name} | None."
            case _:
                name = _shown(want.type)
                return (
                    "Ask for a contract, Table[Row], Topic[Event], Database, Http, Settings, Secret, Threads, "
                    f"Processes or an async context manager; or provide it: app.provide({name}).by(build)."
                )

    def _miss(self, make: Callable[..., Any], what: str, remedy: str) -> None:
        self.findings.append(Finding(place(make), what, remedy, "injection"))


def unnamed(name: str) -> str:
    """What to do about a secret without a name."""
    return f'Name it: `{name}: Secret = Secret("payments/psp-key")`.'


class _Absent:
    pass


_ABSENT = _Absent()


def _shown(kind: Any) -> str:
    if args := get_args(kind):
        return f"{getattr(get_origin(kind), '__name__', kind)}[{', '.join(_shown(one) for one in args)}]"
    return getattr(kind, "__name__", str(kind))
