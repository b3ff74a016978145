"""Takes money through the payment provider, and knows afterwards whether it was taken."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from enfilade import Money, Sensitive, Unavailable
from enfilade.service import Key, Row, Settings, Table, atomic, current, deadline
from shop.payments.contract import Card, Declined, Payment, Payments
from shop.psp.contract import CardDeclined, Charge, Psp, UnknownCharge


class PaymentsSettings(Settings):
    patience: float = 2.0
    """Seconds that the provider has for a charge before it is asked what became of it."""


class PaymentRow(Row):
    reference: Key[str]
    charge: str
    amount: Money
    at: datetime


@final
@dataclass
class PaymentsService(Payments):
    psp: Psp
    payments: Table[PaymentRow]
    settings: PaymentsSettings

    async def charge(self, reference: str, amount: Money, card: Sensitive[Card]) -> Payment:
        try:
            charge = await self._charge(reference, amount, card)
        except CardDeclined as declined:
            raise Declined(reason=declined.reason) from declined
        return await self._record(
            PaymentRow(reference=reference, charge=charge.id, amount=charge.amount, at=current().now)
        )

    async def _charge(self, reference: str, amount: Money, card: str) -> Charge:
        try:
            with deadline(self.settings.patience):
                return await self.psp.charge(reference, amount, card)
        except Unavailable as lost:
            try:
                return await self.psp.charged(reference)  # the answer was lost, the money perhaps not
            except UnknownCharge:
                raise lost from None

    @atomic
    async def _record(self, row: PaymentRow) -> Payment:
        await self.payments.put(row)
        return row.into(Payment)
