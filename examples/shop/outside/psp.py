"""The payment provider. `GET /charges` shows what was charged.

tok_declined    refused: 402
tok_error       500, and nothing is charged
tok_timeout     charged, and the answer comes late
any other       charged
"""

import asyncio

import msgspec

from shop.outside.wire import Answer, Ask, nothing, problem

_LATE = 5.0
"""Seconds: more than anyone's patience."""


class Money(msgspec.Struct, frozen=True):
    amount: str
    currency: str


class ChargeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reference: str
    amount: Money
    card: str


class Charge(msgspec.Struct, frozen=True):
    id: str
    reference: str
    amount: Money


class Psp:
    """Remembers charges by their reference, and answers by their idempotency key."""

    def __init__(self) -> None:
        self.charges: dict[str, Charge] = {}
        self.answers: dict[str, tuple[bytes, Answer]] = {}

    async def answer(self, ask: Ask) -> Answer:
        match ask.method, ask.path:
            case "POST", ("charges",):
                return await self._once(ask)
            case "GET", ("charges",):
                return Answer(200, tuple(self.charges.values()))
            case "GET", ("charges", reference) if reference in self.charges:
                return Answer(200, self.charges[reference])
            case "GET", ("charges", _):
                return problem(404, "/problems/psp/unknown-charge", "Nothing was charged under this reference.")
            case _:
                return await nothing(ask)

    async def _once(self, ask: Ask) -> Answer:
        """The remembered answer, where the key was there before."""
        body, answer = self.answers.get(ask.key, (ask.body, None))
        if body != ask.body:
            return problem(422, "about:blank", "This idempotency key was used for another charge.")
        if answer is None:
            request = msgspec.json.decode(ask.body, type=ChargeRequest)
            answer = self._charge(request)
            if ask.key and answer.status < 500:
                self.answers[ask.key] = (ask.body, answer)
            if request.card == "tok_timeout":
                await asyncio.sleep(_LATE)
        return answer

    def _charge(self, request: ChargeRequest) -> Answer:
        if request.card == "tok_declined":
            return problem(402, "/problems/psp/card-declined", "The card was declined.", reason="insufficient funds")
        if request.card == "tok_error":
            return problem(500, "about:blank", "Something broke.")
        new = Charge(f"ch_{len(self.charges) + 1}", request.reference, request.amount)
        return Answer(201, self.charges.setdefault(request.reference, new))
