"""Rules: what a program itself asks of a caller and of the arguments, as a part of `needs`.

    @rule
    def may_refund(caller: Principal, amount: Money) -> bool:
        \"\"\"Support refunds up to 50, a manager any amount.\"\"\"
        return "manager" in caller.roles or amount.amount <= 50

    @command("POST /orders/{id}/refund", needs=Role("support") & may_refund)
    async def refund(self, id: str, amount: Money) -> Refund: ...

A rule is a plain function: same caller and same arguments, same answer. It is given the operation's parameters by their
names, and `caller`, who is known wherever it asks for him.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Generic, ParamSpec, Union, get_args, get_origin, get_type_hints

from enfilade.contract.need import Asked, Need, parts
from enfilade.contract.operation import Parameter
from enfilade.contract.place import Findings, summary_of, where_is
from enfilade.contract.principal import Principal

P = ParamSpec("P")

_CALLER = "caller"


@dataclass(frozen=True)
class Rule(Need, Generic[P]):
    """A function that says whether a call may be served; made by `@rule`, and still callable as it was."""

    ask: Callable[P, bool]
    takes: tuple[str, ...]
    """Names of the operation's parameters that it is given."""
    knows: bool
    """Whether it asks for the caller."""

    @property
    def name(self) -> str:
        return self.ask.__name__

    @property
    def text(self) -> str:
        """What it asks, in a sentence."""
        return summary_of(self.ask.__doc__, self.name)[0]

    def __str__(self) -> str:
        return f"rule {self.name}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        return self.ask(*args, **kwargs)

    def met(self, call: Asked) -> bool:
        given = {name: call.arguments[name] for name in self.takes}
        if self.knows:
            if call.caller is None:
                return False
            given[_CALLER] = call.caller
        ask: Callable[..., bool] = self.ask
        return ask(**given) is True


def rule(ask: Callable[P, bool]) -> Rule[P]:
    """Makes a function a need. What is wrong with it is said when a contract that uses it is read."""
    names = tuple(inspect.signature(ask).parameters)
    return Rule(ask, tuple(name for name in names if name != _CALLER), _CALLER in names)


def check_rules(need: Need, operation: str, parameters: Sequence[Parameter], findings: Findings) -> None:
    """Adds each rule that could not be asked about calls of this operation."""
    given = {one.name: one for one in parameters}
    for one in parts(need):
        if isinstance(one, Rule):
            _check(one, operation, given, findings)


def _check(one: Rule[...], operation: str, given: dict[str, Parameter], findings: Findings) -> None:
    where = where_is(one.ask)
    if inspect.iscoroutinefunction(one.ask):
        findings.add(
            "rule", f"the rule {one.name} is async", "write `def`: a rule asks nobody but its arguments", where
        )
        return
    try:
        hints = get_type_hints(one.ask)
    except Exception as wrong:  # an annotation may raise anything
        remedy = "import its types at the top of the module, not under TYPE_CHECKING and not inside a function"
        findings.add("rule", f"the types of the rule {one.name} cannot be read: {wrong}", remedy, where)
        return
    if hints.get("return") is not bool:
        findings.add("rule", f"the rule {one.name} does not say that it returns bool", "write `-> bool`", where)
    if one.knows and not _takes(hints.get(_CALLER, object), Principal):
        findings.add(
            "rule", f"the rule {one.name} takes a caller who is no Principal", "write `caller: Principal`", where
        )
    for name in one.takes:
        if name not in given:
            what = f"the rule {one.name} asks for {name}, which {operation} does not take"
            findings.add("rule", what, f"ask for caller{', ' if given else ''}{', '.join(given)}, or for nothing")
        elif not _takes(hints.get(name, object), _bare(given[name].type)):
            wanted, gets = (getattr(kind, "__name__", kind) for kind in (hints[name], _bare(given[name].type)))
            what = f"the rule {one.name} takes {name} as {wanted}, and {operation} as {gets}"
            findings.add("rule", what, "let both say the same")


def _bare(annotation: Any) -> Any:
    """The annotation without marks and constraints."""
    return get_type_hints(type("one", (), {"__annotations__": {"it": annotation}}))["it"]


def _takes(wanted: Any, given: Any) -> bool:
    """Whether everything that is of the one type may be given for the other, as far as can be seen."""
    if wanted in (given, object, Any):
        return True
    options = _options(wanted)
    if get_origin(given) in (Union, UnionType):
        return all(_takes(wanted, one) for one in _options(given))
    if len(options) > 1:
        return any(_takes(one, given) for one in options)
    return isinstance(wanted, type) and isinstance(given, type) and issubclass(given, wanted)


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
