"""What can go wrong, in three kinds.

    Problem                 a refusal: declared by a contract, or one of the platform's own below
    . Malformed 400         the bytes are not what their content type says
    . Unauthenticated 401   nobody, or nobody we can verify
    . Forbidden 403         somebody, but not with this right
    . NotFound 404          no such route, or nothing that this caller may see
    . MethodNotAllowed 405
    . NotAcceptable 406
    . TooSlow 408
    . Conflict 409          the state does not allow it now; Taken, Stale and CheckFailed of the store are conflicts
    . InRehearsal 409       it is only rehearsed, and this could not be undone
    . PreconditionFailed 412
    . TooLarge 413
    . UnsupportedMedia 415
    . RangeNotSatisfiable 416
    . Invalid 422           well formed, but not what the contract says; `errors` points at each place
    . PreconditionRequired 428
    . TooManyRequests 429
    Unavailable 503         it may have run: only queries and keyed commands are called again
    . Overloaded            it did not run: the service has no room for it now
    . DeadlineExceeded 504  it may have run, and there is no time left to ask
    anything else           a bug: 500, logged with its trace id, nothing of it leaves the process

`StartError` is what an app that cannot start raises: every mistake that was found, each with its place and remedy.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any, ClassVar, dataclass_transform, get_type_hints

import msgspec

from enfilade.hidden import shown


@dataclass_transform(kw_only_default=True)
class _ProblemMeta(type):
    """Lets the annotations of a Problem be its typed, keyword-only members."""


class Problem(Exception, metaclass=_ProblemMeta):
    """A refusal that the contract declares, with typed members (RFC 9457).

        class Unsellable(Problem, status=422):
            \"\"\"The catalog does not sell what was ordered.\"\"\"
            sku: str

        raise Unsellable(sku="tea", detail="Tea is out of season.")

    The docstring's first line is the `title`; `detail` is about this one occurrence. The `type` is
    `/problems/<folder of the contract>/<name>` and is what other processes know the problem by.
    """

    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request was refused."
    type: ClassVar[str] = "about:blank"
    members: ClassVar[tuple[str, ...]] = ()
    platform: ClassVar[bool] = False
    """True for the platform's own refusals, which any operation may answer with and no contract declares."""

    detail: str = ""

    def __init_subclass__(cls, *, status: int | None = None, type: str | None = None) -> None:
        if status is not None:
            if not 400 <= status <= 599:
                raise TypeError(f"{cls.__name__}: a problem's status is from 400 to 599, not {status}")
            cls.status = status
        doc = cls.__dict__.get("__doc__")
        cls.title = inspect.cleandoc(doc).splitlines()[0] if doc else _words(cls.__name__)
        cls.type = type or f"/problems/{_folder(cls.__module__)}{kebab(cls.__name__)}"
        own = [name for name, kind in inspect.get_annotations(cls).items() if "ClassVar" not in str(kind)]
        cls.members = (*cls.members, *(name for name in own if name not in cls.members and name != "detail"))

    def __init__(self, **members: object) -> None:
        for name in ("detail", *self.members):
            if name in members:
                setattr(self, name, members.pop(name))
            elif not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs {name}=")
        if members:
            raise TypeError(f"{type(self).__name__} has no {', '.join(members)}; it has {', '.join(self.members)}")
        super().__init__()

    def __str__(self) -> str:
        return self.detail or type(self).title

    def __repr__(self) -> str:
        names = [name for name in ("detail", *self.members) if getattr(self, name) != ""]
        return shown(self, names)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), {name: getattr(self, name) for name in ("detail", *self.members)})

    @classmethod
    def member_types(cls) -> dict[str, object]:
        """The declared type of each member, in order, `detail` not among them."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: hints[name] for name in cls.members}


def _rebuild(kind: type[Problem], members: dict[str, object]) -> Problem:
    return kind(**members)


def kebab(name: str) -> str:
    """`OutOfStock` as `out-of-stock`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _words(name: str) -> str:
    return kebab(name).replace("-", " ").capitalize() + "."


def _folder(module: str) -> str:
    parts = [part for part in module.split(".") if part not in ("contract", "__main__", "errors")]
    return f"{kebab(parts[-1])}/" if parts and parts[0] != "enfilade" else ""


class FieldError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place of a request that is wrong."""

    pointer: str
    """JSON pointer into the body (RFC 6901), `""` for the whole of it."""
    detail: str
    parameter: str = ""
    """The path, query or header parameter instead, where the place is not in the body."""


def _with_places(text: str, errors: Sequence[FieldError]) -> str:
    places = "; ".join(f"{one.parameter or one.pointer or 'the whole'}: {one.detail}" for one in errors)
    return f"{text} {places}".rstrip()


class Malformed(Problem, status=400):
    """The request cannot be read."""

    errors: tuple[FieldError, ...] = ()

    def __str__(self) -> str:
        return _with_places(super().__str__(), self.errors)


class Unauthenticated(Problem, status=401):
    """This needs a caller, and there is none that can be verified."""

    challenge: str = ""
    """Parameters of `WWW-Authenticate: Bearer` (RFC 6750), such as `error="invalid_token"`."""


class Forbidden(Problem, status=403):
    """The caller does not have the right to do this."""

    needs: str = ""
    challenge: str = ""
    """As of Unauthenticated: `error="insufficient_scope"` and the scope."""


class NotFound(Problem, status=404):
    """There is nothing here."""


class MethodNotAllowed(Problem, status=405):
    """This address does not know the method."""

    allow: tuple[str, ...] = ()


class NotAcceptable(Problem, status=406):
    """The answer cannot be given in a form that the request accepts."""


class TooSlow(Problem, status=408):
    """The request did not arrive in the time that it may take."""


class Conflict(Problem, status=409):
    """The present state does not allow it."""


class Taken(Conflict, status=409):
    """Another row has this value, and it must be unique."""

    on: tuple[str, ...]
    """Names of the columns that are taken."""


class Stale(Conflict, status=409):
    """The row was changed by someone else meanwhile."""


class CheckFailed(Conflict, status=409):
    """The change would break a rule of what is stored."""


class InRehearsal(Problem, status=409):
    """This is only rehearsed, and what it was going to do cannot be undone."""


class PreconditionFailed(Problem, status=412):
    """The resource is not in the state that the request expects."""


class TooLarge(Problem, status=413):
    """The request is larger than this operation takes."""

    limit: int = 0
    """Bytes."""


class UnsupportedMedia(Problem, status=415):
    """The body's content type or coding is not one that this operation takes."""


class RangeNotSatisfiable(Problem, status=416):
    """No part of the resource lies in the range that was asked for."""

    size: int = 0
    """Bytes of the whole."""


class Invalid(Problem, status=422):
    """The request is not what the contract says."""

    errors: tuple[FieldError, ...] = ()

    def __str__(self) -> str:
        return _with_places(super().__str__(), self.errors)


class KeyReused(Problem, status=422):
    """The idempotency key was used before for another request."""


class PreconditionRequired(Problem, status=428):
    """Say in If-Match which version you mean to change."""


class TooManyRequests(Problem, status=429):
    """The limit is reached; try again later."""

    retry_after: float = 1.0
    """Seconds."""


for _own in (
    Malformed, Unauthenticated, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, TooSlow, Conflict, Taken, Stale,
    CheckFailed, InRehearsal,
    PreconditionFailed, TooLarge, UnsupportedMedia, RangeNotSatisfiable, Invalid, KeyReused, PreconditionRequired,
    TooManyRequests,
):  # fmt: skip
    _own.platform = True


class Unavailable(Exception):
    """The callee did not answer. It may have run: ask again only with a query or a keyed command."""

    retry_after: float = 1.0
    """Seconds."""


class Overloaded(Unavailable):
    """The service has no room for the call now. It has not run."""


class DeadlineExceeded(Unavailable):
    """The time for the call is over. It may have run."""


class Misuse(RuntimeError):
    """A program used the platform in a way that cannot be right; the message says what to do instead. A bug: 500."""


class Finding(msgspec.Struct, frozen=True):
    """One mistake in a program: where, what and what to do."""

    where: str
    """`file:line`, or the name of the thing where no file is known."""
    what: str
    remedy: str
    rule: str = ""
    """Short name of the rule, stable, for `--json` and for exemptions."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n    {self.remedy}"


class StartError(Exception):
    """The app cannot start; `findings` says why, all at once."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(findings)

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)
