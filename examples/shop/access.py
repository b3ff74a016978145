"""What a customer does in the shop, for `enfilade check --access`: others repeat it, and must not reach what is his."""

from enfilade.app import App
from enfilade.contract.page import FIRST
from enfilade.testing import Caller, Stage
from shop.carrier.contract import Carrier
from shop.cart.contract import Cart
from shop.catalog.contract import Catalog, Item
from shop.fakes import HOME, FakeCarrier, FakeMail, FakePsp
from shop.inventory.contract import Inventory
from shop.mail.contract import Mail
from shop.notifications.contract import Notifications
from shop.orders.contract import Orders
from shop.psp.contract import Psp
from shop.recommendations.contract import Recommendations
from shop.shipping.contract import Shipping

_MUG, _JAR = "6E92ZMYYFZ", "9SIQT8TOJO"


def stage(app: App) -> Stage:
    """The shop, with stand-ins for what is outside."""
    return Stage(app).given(Psp).by(FakePsp()).given(Carrier).by(FakeCarrier()).given(Mail).by(FakeMail())


async def story(stage: Stage, ann: Caller) -> None:
    """Ann fills her cart, buys, and looks at what came of it."""
    for sku in (_MUG, _JAR):
        await stage.acting("eve", roles=["warehouse"]).of(Inventory).recount(sku, 100)
    await ann.of(Catalog).product(_MUG)
    await ann.of(Catalog).page(_MUG)
    await ann.of(Cart).put(_MUG, 2)
    await ann.of(Cart).remove(_MUG)
    await ann.of(Cart).basket()
    order = await ann.of(Orders).place("tok_visa", HOME, items=(Item(sku=_JAR, quantity=1),))
    await stage.settle()
    await ann.of(Orders).order(order.id)
    await ann.of(Orders).history(FIRST)
    await ann.of(Shipping).shipment(order.id)
    await ann.of(Notifications).sent(FIRST)
    await ann.of(Recommendations).bought_with(_JAR)
