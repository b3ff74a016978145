"""How the provider refuses, in the words of OAuth: `error` is the code that its standards define."""

from __future__ import annotations

from enfilade.errors import Problem


class Refused(Problem, status=400):
    """The request is not one that can be answered (RFC 6749, 5.2)."""

    error: str


class BadClient(Problem, status=401):
    """The client did not prove who it is."""

    error: str = "invalid_client"


class BadToken(Problem, status=401):
    """The token is not good, or not good for this."""

    error: str = "invalid_token"


class FormRefused(Problem, status=403):
    """This form was not made here for this browser, or it is too old."""


def refused(error: str, detail: str) -> Refused:
    return Refused(error=error, detail=detail)
