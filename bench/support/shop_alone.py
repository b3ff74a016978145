"""The example shop with nothing outside of it: what is somebody else's is answered at once, by the process that asks.

So its figures are its own. Everybody has an account: nobody signs up, which is made to take long.
"""

from shop.accounts.contract import Accounts, Contact
from shop.app import app
from shop.carrier.contract import Carrier
from shop.fakes import FakeCarrier, FakeMail, FakePsp
from shop.mail.contract import Mail
from shop.psp.contract import Psp

__all__ = ["app"]


class Everybody(Accounts):
    """Accounts, as far as the journey asks for them."""

    async def contact(self, account: str) -> Contact:
        return Contact(name="Ann Arbor", email=f"{account}@example.com")


app.service(Accounts).by(Everybody)
app.service(Psp).by(FakePsp)
app.service(Carrier).by(FakeCarrier)
app.service(Mail).by(FakeMail)
