"""Enfilade: typed Python services with explicit contracts.

This is all that a contract may say. What an implementation may take is in `enfilade.service`; the rest is found at its
station (`from enfilade.endpoint import rest`).
"""

from typing import TYPE_CHECKING, Any

from enfilade.call import acting, current, deadline, new_id
from enfilade.contract.blob import Blob, Stream
from enfilade.contract.declare import command, contract, query
from enfilade.contract.limit import Deprecated, Flow, Level, Rate
from enfilade.contract.marks import Body, Header, Key, Maybe, Meta, Named, Sensitive, Version
from enfilade.contract.message import UNSET, Event, Message
from enfilade.contract.money import Money
from enfilade.contract.need import Fresh, Owner, Role, Scope, any_tenant, anyone, peers, signed_in
from enfilade.contract.page import FIRST, Offset, Page, Paging, Slice
from enfilade.contract.principal import Principal
from enfilade.contract.rule import rule
from enfilade.errors import DeadlineExceeded, Problem, Unavailable

if TYPE_CHECKING:
    from enfilade.app import App

__all__ = [
    "FIRST",
    "UNSET",
    "App",
    "Blob",
    "Body",
    "DeadlineExceeded",
    "Deprecated",
    "Event",
    "Flow",
    "Fresh",
    "Header",
    "Key",
    "Level",
    "Maybe",
    "Message",
    "Meta",
    "Money",
    "Named",
    "Offset",
    "Owner",
    "Page",
    "Paging",
    "Principal",
    "Problem",
    "Rate",
    "Role",
    "Scope",
    "Sensitive",
    "Slice",
    "Stream",
    "Unavailable",
    "Version",
    "acting",
    "any_tenant",
    "anyone",
    "command",
    "contract",
    "current",
    "deadline",
    "new_id",
    "peers",
    "query",
    "rule",
    "signed_in",
]


def __getattr__(name: str) -> Any:
    """`App` is loaded when it is asked for: a contract alone does not need the whole platform."""
    if name == "App":
        from enfilade.app import App

        return App
    raise AttributeError(f"enfilade has no {name}")
