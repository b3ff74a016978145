"""The description says what the endpoint does, and every reference in it resolves."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Protocol

import pytest
import schemathesis

from enfilade import (
    FIRST,
    UNSET,
    Blob,
    Body,
    Deprecated,
    Header,
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
    Slice,
    Stream,
    Version,
    anyone,
    command,
    contract,
    peers,
    query,
    signed_in,
)
from enfilade.contract.read import read
from enfilade.endpoint import ProblemDocument
from enfilade.endpoint.rest.openapi import describe


class Item(Message):
    """A thing that is sold."""

    sku: str
    unit_price: Money
    version: Version = 0


class Edit(Message):
    name: Maybe[str | None] = UNSET


class Unsellable(Problem, status=422):
    """The catalog does not sell what was ordered."""

    item: Item
    short_by: int


@contract(owner="team-items", version=2, needs=signed_in)
class Items(Protocol):
    """Items: what is sold.

    All of it.
    """

    @query("GET /items", needs=anyone)
    async def items(
        self,
        page: Paging = FIRST,
        tag: tuple[str, ...] = (),
        state: Annotated[str | None, Named("filter[state]")] = None,
        limit_price: Annotated[int, Meta(ge=1)] = 100,
    ) -> Page[Item]:
        """All items.

        In no order.
        """
        ...

    @query("GET /items/{sku}", needs=Scope("items:read") | Role("clerk"))
    async def item(self, sku: str, accept_language: Header[str] = "en") -> Item: ...

    @command("PUT /items/{id}", needs=Scope("items:write") & Scope("items:read"), raises=[Unsellable])
    async def change(self, id: str, version: Version, unit_price: Money, note: str = "") -> Item: ...

    @command("POST /items", status=201, rate=Rate("20/minute"), level=Level(p99=0.25), returns="item")
    async def add(self, item: Body[Item], dry: bool = False) -> Item: ...

    @command("PATCH /items/{sku}", needs=Owner)
    async def edit(self, sku: str, edit: Body[Edit] = Edit()) -> None: ...  # noqa: B008

    @query("GET /slices", deprecated=Deprecated(since=date(2026, 1, 1), sunset=date(2026, 12, 31)))
    async def slices(self, at: Offset) -> Slice[Item]: ...

    @query("GET /ticks")
    def ticks(self) -> Stream[Item]: ...

    @command("POST /files")
    async def keep(self, file: Blob) -> str: ...

    @query("GET /files/{id}")
    async def file(self, id: str) -> Blob: ...

    @command("POST /raw")
    async def raw(self, data: Stream[bytes]) -> int: ...

    @query("GET /peers", needs=peers)
    async def inner(self) -> str: ...

    @query()
    async def unrouted(self) -> str: ...


@contract(needs=anyone, names="camel")
class Camel(Protocol):
    @query("GET /camel/{some_id}")
    async def camel(self, some_id: str) -> Item: ...


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return describe("shop", [read(Items), read(Camel)], prefix="/api")


def operation(document: dict[str, Any], id: str) -> dict[str, Any]:
    return next(one for item in document["paths"].values() for one in item.values() if one["operationId"] == id)


def parameters(document: dict[str, Any], id: str) -> dict[str, Any]:
    return {one["name"]: one for one in operation(document, id)["parameters"]}


def test_it_is_a_valid_openapi_document(document) -> None:
    schemathesis.openapi.from_dict(document).validate()

    assert document["openapi"] == "3.1.0"


def test_every_reference_resolves(document) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [one for value in node.values() for one in references(value)]
        return [one for value in node for one in references(value)] if isinstance(node, list) else []

    found = {one.removeprefix("#/components/schemas/") for one in references(document)}

    assert found <= document["components"]["schemas"].keys()
    assert "Item" in found


def test_every_route_is_there_and_nothing_that_is_for_peers_only(document) -> None:
    ids = {one["operationId"] for item in document["paths"].values() for one in item.values()}

    assert ids == {
        "items.items", "items.item", "items.change", "items.add", "items.edit", "items.slices", "items.ticks",
        "items.keep", "items.file", "items.raw", "camel.camel",
    }  # fmt: skip


def test_paths_that_differ_in_names_only_are_one(document) -> None:
    assert set(document["paths"]["/api/items/{sku}"]) == {"get", "put", "patch"}
    assert parameters(document, "items.change")["sku"]["in"] == "path"


def test_summaries_tags_and_owners_are_the_contracts(document) -> None:
    one = operation(document, "items.items")
    (tag,) = (tag for tag in document["tags"] if tag["name"] == "items")

    assert (one["summary"], one["description"], one["tags"]) == ("All items.", "In no order.", ["items"])
    assert one["x-enfilade-owner"] == tag["x-enfilade-owner"] == "team-items"
    assert (tag["x-enfilade-version"], tag["description"]) == (2, "Items: what is sold.\n\nAll of it.")


def test_query_parameters_have_their_names_defaults_and_limits(document) -> None:
    found = parameters(document, "items.items")

    assert set(found) == {"after", "limit", "tag", "filter[state]", "limit_price"}
    assert found["limit"]["schema"]["default"] == 50
    assert found["limit_price"]["schema"]["minimum"] == 1
    assert found["filter[state]"]["schema"] == {"type": "string"}
    assert not any(one["required"] for one in found.values())


def test_headers_versions_and_keys_are_parameters(document) -> None:
    assert parameters(document, "items.item")["Accept-Language"]["in"] == "header"
    assert parameters(document, "items.change")["If-Match"]["required"]
    assert not parameters(document, "items.add")["Idempotency-Key"].get("required")
    assert "Idempotency-Key" not in parameters(document, "items.items")


def test_bodies_are_as_they_are_taken(document) -> None:
    change = operation(document, "items.change")["requestBody"]
    body = document["components"]["schemas"][change["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]

    assert change["required"] is True
    assert set(body["properties"]) == {"unit_price", "note"}
    assert (body["required"], body["additionalProperties"]) == (["unit_price"], False)
    assert operation(document, "items.edit")["requestBody"]["required"] is False
    assert set(operation(document, "items.keep")["requestBody"]["content"]) == {
        "application/octet-stream", "multipart/form-data",
    }  # fmt: skip
    assert "requestBody" not in operation(document, "items.items")


def test_results_are_as_they_are_given(document) -> None:
    def schema(id: str, status: str = "200", kind: str = "application/json") -> Any:
        return operation(document, id)["responses"][status]["content"][kind]["schema"]

    assert schema("items.item") == {"$ref": "#/components/schemas/Item"}
    assert schema("items.add", "201")["properties"] == {"item": {"$ref": "#/components/schemas/Item"}}
    page = document["components"]["schemas"][schema("items.items")["$ref"].rpartition("/")[2]]
    assert set(page["properties"]) == {"items", "next"}
    assert schema("items.ticks", kind="text/event-stream")["x-enfilade-item"] == {"$ref": "#/components/schemas/Item"}
    assert "content" not in operation(document, "items.edit")["responses"]["204"]
    assert "206" in operation(document, "items.file")["responses"]


def test_each_contract_spells_names_in_its_own_way(document) -> None:
    reference = operation(document, "camel.camel")["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    schemas = document["components"]["schemas"]

    assert "unitPrice" in schemas[reference.rpartition("/")[2]]["properties"]
    assert "unit_price" in schemas["Item"]["properties"]


def test_problems_are_declared_with_their_members(document) -> None:
    schema = operation(document, "items.change")["responses"]["422"]["content"]["application/problem+json"]["schema"]
    unsellable = document["components"]["schemas"]["UnsellableProblem"]

    assert {"$ref": "#/components/schemas/UnsellableProblem"} in schema["anyOf"]
    assert unsellable["properties"]["type"] == {"const": "/problems/test_openapi/unsellable"}
    assert unsellable["properties"]["item"] == {"$ref": "#/components/schemas/Item"}
    assert set(unsellable["required"]) == {"type", "title", "status", "item", "short_by"}


@pytest.mark.parametrize(
    ("id", "there", "absent"),
    [
        ("items.items", {"200", "304", "400", "401", "406", "422", "500", "503", "504"}, {"403", "413", "428", "429"}),
        ("items.item", {"403", "404"}, {"409", "413"}),
        ("items.change", {"403", "404", "408", "409", "412", "413", "415", "428"}, {"429", "304"}),
        ("items.add", {"201", "429"}, {"200", "404"}),
        ("items.file", {"206", "304", "404", "416"}, {"413"}),
    ],
)
def test_all_that_may_be_answered_is_told(document, id: str, there: set[str], absent: set[str]) -> None:
    found = operation(document, id)["responses"].keys()

    assert there <= found
    assert not absent & found


def test_needs_are_security(document) -> None:
    assert operation(document, "items.items")["security"] == [{}, {"token": []}]
    assert operation(document, "items.slices")["security"] == [{"token": []}]
    assert operation(document, "items.item")["security"] == [{"token": ["items:read"]}, {"token": []}]
    assert operation(document, "items.change")["security"] == [{"token": ["items:write", "items:read"]}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_policy_is_told_in_extensions(document) -> None:
    add, slices = operation(document, "items.add"), operation(document, "items.slices")

    assert add["x-enfilade-rate"] == [{"limit": "20/minute", "per": "caller", "cost": 1}]
    assert add["x-enfilade-level"] == {"p99": 0.25, "availability": None}
    assert add["x-enfilade-kind"] == "command"
    assert (slices["deprecated"], slices["x-enfilade-sunset"]) == (True, "2026-12-31")


class Errors(Message):
    errors: tuple[str, ...]


def test_another_shape_of_problems_is_the_schema_of_all() -> None:
    def shaped(document: ProblemDocument) -> Errors | None:
        return None

    def silent(document: ProblemDocument) -> None:
        return None

    document = describe("shop", [read(Items)], problem=shaped, scheme="Token")
    content = operation(document, "items.change")["responses"]["422"]["content"]
    assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert {"$ref": "#/components/schemas/Errors"} in document["components"]["schemas"]["Problem"]["anyOf"]
    assert document["components"]["securitySchemes"]["token"]["type"] == "apiKey"

    bare = describe("shop", [read(Items)], problem=silent)
    assert "content" not in operation(bare, "items.change")["responses"]["422"]


def test_the_version_changes_with_the_contracts_only() -> None:
    one, same = describe("shop", [read(Items), read(Camel)]), describe("shop", [read(Camel), read(Items)])

    assert one["info"]["version"] == same["info"]["version"] != describe("shop", [read(Items)])["info"]["version"]


def test_a_service_that_only_peers_may_call_is_not_listed() -> None:
    @contract(name="hidden", needs=peers)
    class Hidden(Protocol):
        @query("GET /hidden")
        async def hidden(self) -> int: ...

    assert [tag["name"] for tag in describe("shop", [read(Hidden)])["tags"]] == []
