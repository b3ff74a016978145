"""What a contract says, once it is read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec
import pytest

from enfilade import (
    FIRST,
    UNSET,
    Blob,
    Body,
    Deprecated,
    Header,
    Key,
    Level,
    Maybe,
    Message,
    Meta,
    Money,
    Named,
    Offset,
    Owner,
    Page,
    Paging,
    Problem,
    Rate,
    Role,
    Scope,
    Sensitive,
    Slice,
    Stream,
    Version,
    anyone,
    command,
    contract,
    peers,
    query,
    signed_in,
)  # fmt: skip
from enfilade.contract.codec import codec
from enfilade.contract.operation import REQUIRED, Operation
from enfilade.contract.read import read

Quantity = Annotated[int, Meta(ge=1, le=99)]


START = Offset()


class Order(Message):
    """An order as the customer sees it."""

    id: str
    total: Money
    placed_at: datetime


class NewOrder(Message):
    sku: str
    quantity: Quantity = 1


class Edit(Message):
    note: Maybe[str | None] = UNSET


NOTHING = Edit()


class Unsellable(Problem, status=422):
    """The catalog does not sell what was ordered."""

    sku: str


class Gone(Problem, status=410):
    """It was there once."""


@contract(owner="team-orders", version=2, needs=signed_in, timeout=3, rate=Rate("100/minute"))
class Orders(Protocol):
    """Orders: what customers asked for.

    They are kept for ten years.
    """

    @command("POST /orders", status=201, raises=[Unsellable], needs=Scope("orders:write"), timeout=5.0, body="64KB")
    async def place(self, sku: str, quantity: Quantity = 1, accept_language: Header[str] = "en") -> Order:
        """Place an order.

        At the catalog's price of this moment.
        """
        ...

    @query("GET /orders/{id}", raises=[Gone], needs=Role("clerk") | Owner, level=Level(p99=0.1, availability=0.999))
    async def order(self, id: str) -> Order: ...

    @query("GET /orders", rate=[Rate("20/minute"), Rate("1000/day", per="tenant")])
    async def orders(
        self, state: Annotated[str, Named("filter[state]")] = "open", tags: tuple[str, ...] = (), page: Paging = FIRST
    ) -> Page[Order]: ...

    @query("GET /orders/watch", idle=60)
    def watch(self, since: Maybe[datetime] = UNSET) -> Stream[Order]: ...

    @command("PATCH /orders/{id}")
    async def edit(self, id: Key[str], version: Version, edit: Body[Edit] = NOTHING, silent: bool = False) -> None: ...

    @command("PUT /orders/{id}/scan")
    async def scan(self, id: str, image: Blob, pages: int = 1) -> None: ...

    @command("POST /orders/bulk")
    async def bulk(self, rows: Stream[bytes]) -> int: ...

    @query("GET /orders/{id}/scan")
    async def scanned(self, id: str) -> Blob: ...

    @query("GET /orders/{id}/raw")
    def raw(self, id: str) -> Stream[bytes]: ...

    @query("POST /orders/search", returns="found")
    async def search(self, words: str, card: Sensitive[str] = "", at: Offset = START) -> Slice[Order]: ...

    @command("DELETE /orders/{id}", deprecated=Deprecated(since=date(2026, 1, 1)))
    async def drop(self, id: str, reason: str | None = None) -> None: ...

    @command(idempotent=True, needs=peers)
    async def close_month(self, month: date) -> None: ...

    @command("POST /orders/import")
    async def take_over(
        self, order: Body[Edit] | None = None, trace: Header[str] | None = None, version: Version | None = None
    ) -> int: ...


@contract(needs=anyone, names="camel")
class Catalog(Protocol):
    @query("GET /products/{product_id}")
    async def product(
        self, product_id: str, unit_price: int = 0, odd_name: Annotated[str, Named("X_odd")] = ""
    ) -> Order: ...

    @command("POST /products")
    async def add(self, product_id: str, made_at: datetime, plain: str = "") -> Order: ...


def operation(name: str, of: type = Orders) -> Operation:
    return read(of).operation(name)


def places(name: str, of: type = Orders) -> dict[str, tuple[str, str]]:
    return {one.name: (one.place, one.wire) for one in operation(name, of).parameters}


def test_a_contract_has_its_name_owner_version_and_words() -> None:
    orders = read(Orders)

    assert (orders.name, orders.owner, orders.version, orders.names) == ("orders", "team-orders", 2, "snake")
    assert orders.summary == "Orders: what customers asked for."
    assert orders.description == "They are kept for ten years."
    assert orders.type is Orders
    assert [one.name for one in orders.operations][:3] == ["place", "order", "orders"]


def test_a_contract_is_read_once() -> None:
    assert read(Orders) is read(Orders)


def test_an_operation_is_found_by_its_name_and_place() -> None:
    place = operation("place")

    assert place.id == "orders.place"
    assert operation("close_month").id == "orders.close_month"
    file, _, line = place.where.rpartition(":")
    assert Path(file).name == "test_read.py"
    assert Path(__file__).read_text("utf-8").splitlines()[int(line) - 1].strip().startswith("async def place(")


def test_the_docstring_is_summary_and_description_and_the_name_stands_in_for_it() -> None:
    assert operation("place").summary == "Place an order."
    assert operation("place").description == "At the catalog's price of this moment."
    assert operation("close_month").summary == "Close month."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("place", {"sku": ("member", "sku"), "quantity": ("member", "quantity"),
                   "accept_language": ("header", "Accept-Language")}),
        ("order", {"id": ("path", "id")}),
        ("orders", {"state": ("query", "filter[state]"), "tags": ("query", "tags"), "page": ("query", "page")}),
        ("edit", {"id": ("path", "id"), "edit": ("body", "edit"), "version": ("if-match", "If-Match"),
                  "silent": ("query", "silent")}),
        ("scan", {"id": ("path", "id"), "image": ("body", "image"), "pages": ("query", "pages")}),
        ("bulk", {"rows": ("body", "rows")}),
        ("search", {"words": ("member", "words"), "card": ("member", "card"), "at": ("query", "at")}),
        ("drop", {"id": ("path", "id"), "reason": ("query", "reason")}),
        ("take_over", {"order": ("body", "order"), "trace": ("header", "Trace"), "version": ("if-match", "If-Match")}),
        ("close_month", {"month": ("member", "month")}),
    ],
)  # fmt: skip
def test_each_parameter_has_its_place_and_its_name_on_the_wire(name: str, expected: dict[str, tuple[str, str]]) -> None:
    assert places(name) == expected


def test_names_are_camel_case_outside_of_the_path_where_the_contract_says_so() -> None:
    assert places("product", Catalog) == {
        "product_id": ("path", "product_id"),
        "unit_price": ("query", "unitPrice"),
        "odd_name": ("query", "X_odd"),
    }
    assert places("add", Catalog)["made_at"] == ("member", "madeAt")


@pytest.mark.parametrize(
    ("name", "style", "result", "status"),
    [
        ("place", "value", Order, 201),
        ("orders", "page", Order, 200),
        ("watch", "stream", Order, 200),
        ("edit", "nothing", type(None), 204),
        ("scanned", "blob", Blob, 200),
        ("take_over", "value", int, 200),
        ("raw", "bytes", bytes, 200),
        ("search", "value", Slice[Order], 200),
    ],
)
def test_the_return_type_is_the_style(name: str, style: str, result: Any, status: int) -> None:
    one = operation(name)

    assert (one.style, one.result, one.status) == (style, result, status)


def test_what_an_operation_does_not_say_the_contract_says_and_then_the_platform() -> None:
    place, order = operation("place"), operation("order")

    assert (place.timeout, order.timeout, operation("product", Catalog).timeout) == (5.0, 3, 10.0)
    assert (operation("watch").idle, order.idle) == (60, 30.0)
    assert (place.body_limit, order.body_limit) == (64_000, 1024 * 1024)
    assert (str(place.needs), str(order.needs), str(operation("orders").needs)) == (
        "scope orders:write", "role clerk or owner", "signed in",
    )  # fmt: skip
    assert [rate.limit for rate in order.rates] == ["100/minute"]
    assert [rate.limit for rate in operation("orders").rates] == ["20/minute", "1000/day"]
    assert operation("product", Catalog).rates == ()


def test_queries_puts_and_deletes_may_be_repeated_and_commands_where_they_say_so() -> None:
    repeatable = [one.name for one in read(Orders).operations if one.idempotent]

    assert repeatable == ["order", "orders", "watch", "scan", "scanned", "raw", "search", "drop", "close_month"]


def test_defaults_are_known_by_their_python_names() -> None:
    assert operation("orders").defaults == {"state": "open", "tags": (), "page": FIRST}
    assert operation("order").parameters[0].default is REQUIRED
    assert operation("order").parameters[0].required


def test_marks_of_parameters_are_known() -> None:
    assert [one.name for one in operation("search").parameters if one.sensitive] == ["card"]
    assert [one.name for one in operation("edit").parameters if one.key] == ["id"]
    assert [one.type for one in operation("place").parameters] == [str, Quantity, Header[str]]


def test_the_request_message_has_all_parameters_by_their_wire_names() -> None:
    request = operation("add", Catalog).request
    data = b'{"productId":"p","madeAt":"2026-01-01T00:00:00Z"}'

    value = codec(request, names="camel").decode(data)

    assert value == request(product_id="p", made_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert msgspec.json.decode(codec(request, names="camel").encode(value))["madeAt"] == "2026-01-01T00:00:00.000000Z"
    assert request.__name__ == "CatalogAddRequest"


def test_a_stream_of_bytes_is_no_member_of_the_request_message() -> None:
    assert operation("bulk").request.__struct_fields__ == ()


def test_an_operation_without_a_route_has_no_method_and_no_path() -> None:
    assert (operation("close_month").method, operation("close_month").path) == ("", "")


class Profile(Message):
    name: str


@contract(needs=peers, timeout=1)
class Directory(Protocol):
    @query("GET /profiles/{name}")
    async def profile(self, name: str) -> Profile: ...


@contract(needs=signed_in, timeout=2, names="camel")
class People(Directory, Protocol):
    @command("PUT /profiles/{name}")
    async def rename(self, name: str, new_name: str) -> Profile: ...


def test_a_contract_has_the_operations_of_its_roles() -> None:
    people = read(People)

    assert people.roles == (Directory,)
    assert [one.id for one in people.operations] == ["people.profile", "people.rename"]
    assert [str(one.needs) for one in people.operations] == ["peers", "signed in"]
    assert [one.timeout for one in people.operations] == [1, 2]
    assert [one.id for one in read(Directory).operations] == ["directory.profile"]


class Silent(Directory, Protocol): ...


def test_a_contract_that_says_nothing_of_its_own_is_its_roles_under_another_name() -> None:
    silent = read(Silent)

    assert silent.name == "silent"
    assert [(one.id, str(one.needs)) for one in silent.operations] == [("silent.profile", "peers")]


@contract(needs=anyone, name="shop-window")
class Window(Protocol):
    @query("GET /", name="front")
    async def root(self) -> Profile: ...


def test_service_and_operation_may_be_named_otherwise() -> None:
    assert [(one.id, one.name, one.service) for one in read(Window).operations] == [
        ("shop-window.front", "root", "shop-window")
    ]
