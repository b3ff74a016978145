"""Which services the shop has. Where they run is the configuration's business."""

from pathlib import Path

from enfilade.app import App
from enfilade.identity.provider import Provider
from shop.accounts.contract import Accounts
from shop.carrier.contract import Carrier
from shop.cart.contract import Cart
from shop.catalog.contract import Catalog
from shop.currency.contract import Currency
from shop.inventory.contract import Inventory
from shop.mail.contract import Mail
from shop.notifications.contract import Notifications
from shop.orders.contract import Orders
from shop.payments.contract import Payments
from shop.psp.contract import Psp
from shop.recommendations.contract import Recommendations
from shop.search.contract import Search
from shop.shipping.contract import Shipping

SETTINGS = Path(__file__).with_name("enfilade.toml")

app = App(
    "shop",
    services=[
        Provider,
        Accounts,
        Catalog,
        Search,
        Cart,
        Currency,
        Inventory,
        Payments,
        Shipping,
        Orders,
        Notifications,
        Recommendations,
        Psp,
        Carrier,
        Mail,
    ],
)
