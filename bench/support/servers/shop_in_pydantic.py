"""What the services of `fastapi_shop.py` say to one another and to customers."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Sku = Annotated[str, Field(pattern="^[A-Za-z0-9-]+$", max_length=40)]
Quantity = Annotated[int, Field(ge=1, le=100)]
Code = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$", max_length=100)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Money(Model):
    amount: Decimal
    currency: Code


class Product(Model):
    sku: str
    name: str
    description: str
    picture: str
    price: Money
    categories: tuple[str, ...]


class Hit(Model):
    sku: str
    name: str
    score: int


class Item(Model):
    sku: Sku
    quantity: Quantity


class Basket(Model):
    items: tuple[Item, ...]


class Put(Model):
    quantity: Quantity


class Convert(Model):
    amount: Money
    currency: Code


class Nothing(Model):
    """What is asked with nothing, and answered with nothing."""


class Products(Model):
    items: tuple[Product, ...]


class Which(Model):
    sku: Sku


class Address(Model):
    name: Text
    street: Text
    city: Text
    postcode: Annotated[str, Field(pattern="^[A-Za-z0-9 -]+$", max_length=12)]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]


class Where(Model):
    country: str
    postcode: str
    pieces: Annotated[int, Field(ge=1, le=5000)]


class Quote(Model):
    price: Money
    days: int


class Reservation(Model):
    id: str
    ends: datetime


class Charge(Model):
    reference: str
    amount: Money
    card: Annotated[str, Field(pattern="^tok_[a-z0-9_]+$", max_length=64)]


class Payment(Model):
    reference: str
    charge: str
    amount: Money
    at: datetime


class Line(Model):
    sku: str
    name: str
    quantity: int
    price: Money


class Order(Model):
    id: str
    lines: tuple[Line, ...]
    shipping: Money
    total: Money
    address: Address
    state: str
    tracking: str
    at: datetime
    version: int


class NewOrder(Model):
    card: Annotated[str, Field(pattern="^tok_[a-z0-9_]+$", max_length=64)]
    address: Address
    currency: Code = "USD"
    items: Annotated[tuple[Item, ...], Field(max_length=50)] = ()


class OrderPlaced(Model):
    order: Order
    customer: str
    reservation: str


class OrderShipped(Model):
    order_id: str
    tracking: str
    customer: str


class Who(Model):
    account: str


class Contact(Model):
    name: str
    email: str


class Notification(Model):
    id: str
    subject: str
    text: str
    at: datetime


class Notifications(Model):
    items: tuple[Notification, ...]
