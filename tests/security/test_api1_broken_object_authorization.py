"""API1:2023, broken object level authorization: who names what is another's hears what he would hear of nothing at all.

Ann keeps papers. Bob is of her tenant; Eve, and another Ann, are of another one. Each of them sends every request of
hers with her ids in it, and the same with ids that nobody has: the two answers are the same to the byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, final

import httpx2
import pytest

from enfilade import (
    FIRST,
    App,
    Blob,
    Body,
    Event,
    Header,
    Message,
    Owner,
    Page,
    Paging,
    Principal,
    Problem,
    Stream,
    Version,
    command,
    contract,
    query,
    signed_in,
)
from enfilade.govern.access import examine
from enfilade.identity.apikeys import ApiKeys
from enfilade.service import Blobs, Database, Key, Owned, Row, Table, Topic, atomic, current, new_id, on
from enfilade.testing import Caller, Stage


class Paper(Message):
    id: str
    text: str
    version: Version = 0


class Ids(Message):
    ids: tuple[str, ...]


class Draft(Message):
    """What names a file by its value, as a careless contract may let callers do."""

    file: Blob


class Count(Message):
    count: int


class Written(Event, key="id"):
    id: str


class UnknownPaper(Problem, status=404):
    """You have no such paper."""


@contract(owner="records", version=1, needs=Owner)
class Papers(Protocol):
    @command("POST /papers", status=201)
    async def write(self, text: str) -> Paper: ...

    @query("GET /papers")
    async def papers(self, page: Paging = FIRST) -> Page[Paper]: ...

    @query("GET /papers/{id}", raises=[UnknownPaper])
    async def paper(self, id: str) -> Paper: ...

    @command("PUT /papers/{id}", raises=[UnknownPaper])
    async def change(self, id: str, version: Version, text: str) -> Paper: ...

    @command("DELETE /papers/{id}", raises=[UnknownPaper])
    async def remove(self, id: str) -> None: ...

    @query("GET /lookup", raises=[UnknownPaper])
    async def by_query(self, id: str) -> Paper: ...

    @command("POST /lookup", raises=[UnknownPaper])
    async def by_body(self, id: str) -> Paper: ...

    @command("POST /lookups")
    async def several(self, wanted: Body[Ids]) -> tuple[Paper, ...]: ...

    @query("GET /named", raises=[UnknownPaper])
    async def by_header(self, x_paper: Header[str]) -> Paper: ...

    @command("PUT /papers/{id}/file", raises=[UnknownPaper])
    async def attach(self, id: str, file: Blob) -> None: ...

    @query("GET /papers/{id}/file", raises=[UnknownPaper])
    async def file(self, id: str) -> Blob: ...

    @query("GET /papers/{id}/words", raises=[UnknownPaper])
    def words(self, id: str) -> Stream[str]: ...

    @query("GET /search")
    async def search(self, id: str) -> tuple[Paper, ...]: ...

    @command("POST /papers/{id}/shout")
    async def shout(self, id: str) -> Count: ...

    @command("PUT /places/{name}")
    async def place(self, name: str, text: str) -> None: ...

    @query("GET /places/{name}", raises=[UnknownPaper])
    async def there(self, name: str) -> str: ...

    @command("POST /gifts")
    async def give(self, to: str, text: str) -> None: ...

    @command("POST /forged")
    async def forged(self, draft: Body[Draft]) -> Blob: ...

    @query("GET /heard")
    async def heard(self) -> tuple[str, ...]: ...


class PaperRow(Row):
    id: Key[str]
    holder: Owned[str]
    text: str
    file: Blob | None = None
    version: Version = 0


class PlaceRow(Row):
    name: Key[str]
    holder: Owned[str]
    text: str


class HeardRow(Row):
    id: Key[str]


@final
@dataclass
class PapersService(Papers):
    rows: Table[PaperRow]
    places: Table[PlaceRow]
    hear: Table[HeardRow]
    database: Database
    blobs: Blobs
    written: Topic[Written]

    async def _row(self, id: str) -> PaperRow:
        row = await self.rows.get(id)
        if row is None:
            raise UnknownPaper()
        return row

    @atomic
    async def write(self, text: str) -> Paper:
        row = await self.rows.add(PaperRow(id=new_id("paper"), holder=current().me, text=text))
        await self.written.publish(Written(id=row.id))
        return row.into(Paper)

    async def papers(self, page: Paging = FIRST) -> Page[Paper]:
        found = await self.rows.page(page, order="id")
        return Page(items=tuple(row.into(Paper) for row in found.items), next=found.next)

    async def paper(self, id: str) -> Paper:
        return (await self._row(id)).into(Paper)

    @atomic
    async def change(self, id: str, version: Version, text: str) -> Paper:
        (row,) = await self.rows.put((await self._row(id)).replace(text=text, version=version))
        return row.into(Paper)

    @atomic
    async def remove(self, id: str) -> None:
        if not await self.rows.delete(id):
            raise UnknownPaper()

    async def by_query(self, id: str) -> Paper:
        return await self.paper(id)

    async def by_body(self, id: str) -> Paper:
        return await self.paper(id)

    async def several(self, wanted: Ids) -> tuple[Paper, ...]:
        return tuple(row.into(Paper) for row in await self.rows.find("id IN :ids", ids=wanted.ids))

    async def by_header(self, x_paper: str) -> Paper:
        return await self.paper(x_paper)

    @atomic
    async def attach(self, id: str, file: Blob) -> None:
        await self.rows.put((await self._row(id)).replace(file=file))

    async def file(self, id: str) -> Blob:
        row = await self._row(id)
        if row.file is None:
            raise UnknownPaper()
        return row.file

    async def words(self, id: str) -> Stream[str]:
        for word in (await self._row(id)).text.split():
            yield word

    async def search(self, id: str) -> tuple[Paper, ...]:
        return await self.database.rows(
            Paper, "select id, text, version from paper where id = :id or text = :id", id=id
        )

    @atomic
    async def shout(self, id: str) -> Count:
        return Count(count=await self.database.run("update paper set text = upper(text) where id = :id", id=id))

    @atomic
    async def place(self, name: str, text: str) -> None:
        await self.places.put(PlaceRow(name=name, holder=current().me, text=text))

    async def there(self, name: str) -> str:
        row = await self.places.get(name)
        if row is None:
            raise UnknownPaper()
        return row.text

    @atomic
    async def give(self, to: str, text: str) -> None:
        await self.rows.add(PaperRow(id=new_id("paper"), holder=to, text=text))

    async def forged(self, draft: Draft) -> Blob:
        return draft.file

    @on(Written)
    @atomic
    async def note(self, event: Written) -> None:
        await self.hear.put(HeardRow(id=event.id))

    async def heard(self) -> tuple[str, ...]:
        return tuple(row.id for row in await self.hear.find(order="id"))


@contract(owner="records", version=1, needs=signed_in)
class Open(Protocol):
    """Papers, with the guard forgotten, in rows that say nothing of owners, and of all tenants."""

    @command("POST /papers", status=201)
    async def write(self, text: str) -> Paper: ...

    @query("GET /papers/{id}", raises=[UnknownPaper])
    async def paper(self, id: str) -> Paper: ...


@final
class OpenService(Open):
    """Keeps them where no store looks after them."""

    def __init__(self) -> None:
        self.papers: dict[str, Paper] = {}

    async def write(self, text: str) -> Paper:
        paper = Paper(id=new_id("paper"), text=text)
        return self.papers.setdefault(paper.id, paper)

    async def paper(self, id: str) -> Paper:
        if id not in self.papers:
            raise UnknownPaper()
        return self.papers[id]


def app() -> App:
    made = App("papers", services=[Papers, ApiKeys])
    made.service(Papers).by(PapersService)
    return made


CANARY = "heirloom"
"""Stands in all that Ann keeps."""

Ask: TypeAlias = dict[str, Any]
"""What a request is made of; `{id}` stands for the id of a paper."""

REPLAYED: dict[str, Ask] = {
    "path": {"url": "/papers/{id}"},
    "path, with what is known of it": {"url": "/papers/{id}", "headers": {"if-none-match": '"1"'}},
    "path, whatever is known": {"url": "/papers/{id}", "headers": {"if-none-match": "*"}},
    "path, only the head": {"method": "HEAD", "url": "/papers/{id}"},
    "path, written otherwise": {"url": "/papers/%70{id}"},
    "change": {"method": "PUT", "url": "/papers/{id}", "json": {"text": "evil"}, "headers": {"if-match": '"1"'}},
    "change of another version": {
        "method": "PUT", "url": "/papers/{id}", "json": {"text": "evil"}, "headers": {"if-match": '"7"'},
    },
    "change of none": {"method": "PUT", "url": "/papers/{id}", "json": {"text": "evil"}},
    "change of anything": {
        "method": "PUT", "url": "/papers/{id}", "json": {"text": "evil"}, "headers": {"if-match": "*"},
    },
    "removal": {"method": "DELETE", "url": "/papers/{id}"},
    "removal of a version": {"method": "DELETE", "url": "/papers/{id}", "headers": {"if-match": '"1"'}},
    "query": {"url": "/lookup?id={id}"},
    "body": {"method": "POST", "url": "/lookup", "json": {"id": "{id}"}},
    "body, under her key": {
        "method": "POST", "url": "/lookup", "json": {"id": "{id}"}, "headers": {"idempotency-key": "hers-{id}"},
    },
    "whole body": {"method": "POST", "url": "/lookups", "json": {"ids": ["{id}", "{id}"]}},
    "header": {"url": "/named", "headers": {"x-paper": "{id}"}},
    "file": {"url": "/papers/{id}/file"},
    "file, a part": {"url": "/papers/{id}/file", "headers": {"range": "bytes=0-3"}},
    "file, beyond its end": {"url": "/papers/{id}/file", "headers": {"range": "bytes=900-"}},
    "file over hers": {"method": "PUT", "url": "/papers/{id}/file", "content": b"evil"},
    "stream": {"url": "/papers/{id}/words"},
    "SQL": {"url": "/search?id={id}"},
    "SQL that changes": {"method": "POST", "url": "/papers/{id}/shout"},
    "SQL in an id": {"url": "/search?id={id}'%20or%201=1%20--"},
    "API key, another in its place": {"method": "POST", "url": "/api-keys/{key}/rotation"},
    "API key, taken back": {"method": "DELETE", "url": "/api-keys/{key}"},
}  # fmt: skip


class Kept:
    """What Ann has, and those who want it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ann = self.who("ann", "north")
        self.others = {
            "another of her tenant": self.who("bob", "north"),
            "one of another tenant": self.who("eve", "south"),
            "her namesake of another tenant": self.who("ann", "west"),
            "one of no tenant": self.who("ann", ""),
        }
        self.id = self.key = ""

    def who(self, subject: str, tenant: str) -> Caller:
        return Caller(self.stage, Principal(subject=subject, tenant=tenant))

    async def ask(self, who: Caller, ask: Ask, *, id: str = "", key: str = "") -> httpx2.Response:
        said = _filled({"method": "GET", **ask}, {"{id}": id or self.id, "{key}": key or self.key})
        headers = {**said.pop("headers", {}), **who.headers}
        return await self.stage.http.request(**said, headers=headers)

    async def fill(self) -> None:
        written = [
            (await self.ask(self.ann, {"method": "POST", "url": "/papers", "json": {"text": text}})).json()
            for text in (f"the will, {CANARY}", f"a letter, {CANARY}")
        ]
        self.id = written[0]["id"]
        await self.ask(self.ann, REPLAYED["file over hers"] | {"content": CANARY.encode()})
        await self.ask(self.ann, REPLAYED["body, under her key"])
        made = await self.ask(self.ann, {"method": "POST", "url": "/api-keys", "json": {"label": "scanner"}})
        self.key = made.json()["about"]["id"]
        await self.stage.settle()

    async def all(self) -> list[Any]:
        """Everything that she has."""
        asked = ("/papers", "/papers/{id}", "/papers/{id}/file", "/api-keys", "/heard")
        return [(await self.ask(self.ann, {"url": url})).content for url in asked]


def _filled(ask: Ask, ids: dict[str, str]) -> Ask:
    """The request with ids in the places for them; of what is written otherwise the first letter, p, is encoded."""
    content = ask.pop("content", b"")
    text = json.dumps(ask).replace("%70{id}", "%70" + ids["{id}"][1:])
    for place, id in ids.items():
        text = text.replace(place, id)
    return {**json.loads(text), **({"content": content} if content else {})}


def seen(answer: httpx2.Response, *asked: str) -> tuple[int, dict[str, str], str]:
    """All of an answer that could tell something: without its trace, and without the words that were asked for."""
    text = re.sub(r"[0-9a-f]{32}", "TRACE", answer.text)
    for number, word in enumerate(asked):
        text = text.replace(word, f"ASKED{number}").replace(word[1:], f"SKED{number}")
    each = ("trace-id", "date", "ratelimit")  # what is another for each request, whatever it asks for
    fields = {name: value for name, value in answer.headers.items() if name not in each}
    return answer.status_code, fields, text


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    async with Stage(app()) as stage:
        kept = Kept(stage)
        await kept.fill()
        yield kept


async def test_what_is_anothers_is_answered_like_what_is_not_there(kept: Kept) -> None:
    before, told = await kept.all(), list[str]()
    absent = "paper" + kept.id[5:-4] + "zzzz", kept.key[:-4] + "zzzz"
    for label, who in kept.others.items():
        for name, ask in REPLAYED.items():
            foreign = seen(await kept.ask(who, ask), kept.id, kept.key)
            nothing = seen(await kept.ask(who, ask, id=absent[0], key=absent[1]), *absent)
            if foreign != nothing or CANARY in foreign[2].lower():
                told.append(f"{name}, asked by {label}: {foreign} is not {nothing}")

    assert told == []
    assert await kept.all() == before


async def test_the_requests_that_are_tried_are_good_ones(kept: Kept) -> None:
    """Ann herself gets somewhere with each of them, or nothing would be shown by a refusal."""
    wrong = {"change of another version": 412, "change of none": 428, "change of anything": 400}
    wrong |= {"removal of a version": 412, "path, whatever is known": 304, "file, beyond its end": 416}
    gone = ("removal", "API key, taken back")
    for name, ask in sorted(REPLAYED.items(), key=lambda one: one[0] in gone):
        answer = await kept.ask(kept.ann, ask)
        expected = wrong.get(name)

        assert answer.status_code == expected if expected else answer.status_code < 400, (name, answer.text)


async def test_nobody_hears_the_same_of_what_is_there_and_of_what_is_not(kept: Kept) -> None:
    for name, ask in REPLAYED.items():
        said = _filled({"method": "GET", **ask}, {"{id}": kept.id, "{key}": kept.key})
        got = await kept.stage.http.request(**said)
        other = _filled({"method": "GET", **ask}, {"{id}": "paper_0", "{key}": "0"})
        nothing = await kept.stage.http.request(**other)

        assert got.status_code == nothing.status_code == 401, name
        assert got.headers["www-authenticate"] == nothing.headers["www-authenticate"]
        assert CANARY not in got.text


async def test_the_same_is_true_within_the_process(kept: Kept) -> None:
    for who in kept.others.values():
        papers = who.of(Papers)
        for call in (
            lambda one=papers: one.paper(kept.id),
            lambda one=papers: one.change(kept.id, 1, "evil"),
            lambda one=papers: one.remove(kept.id),
            lambda one=papers: one.by_body(kept.id),
            lambda one=papers: one.file(kept.id),
        ):
            with pytest.raises(UnknownPaper):
                await call()
        with pytest.raises(UnknownPaper):
            _ = [word async for word in papers.words(kept.id)]
        assert await papers.several(Ids(ids=(kept.id,))) == ()
        assert (await papers.papers()).items == ()
        assert await papers.shout(kept.id) == Count(count=0)
    assert CANARY in (await kept.ann.of(Papers).paper(kept.id)).text


async def test_lists_show_nobody_what_is_anothers(kept: Kept) -> None:
    for who in kept.others.values():
        for url in ("/papers", "/api-keys", "/papers?limit=1"):
            assert (await kept.ask(who, {"url": url})).json() == {"items": [], "next": ""}
        assert (await kept.ask(who, {"url": "/search?id=a+letter,+heirloom"})).json() == []


async def test_a_cursor_of_another_is_what_was_never_one(kept: Kept) -> None:
    page = (await kept.ask(kept.ann, {"url": "/papers?limit=1"})).json()
    assert len((await kept.ask(kept.ann, {"url": f"/papers?after={page['next']}"})).json()["items"]) == 1
    for who in kept.others.values():
        theirs = await kept.ask(who, {"url": f"/papers?after={page['next']}"})
        never = await kept.ask(who, {"url": f"/papers?after={page['next'][::-1]}"})

        assert theirs.status_code == 422
        assert seen(theirs) == seen(never)


async def test_a_key_of_another_repeats_nothing_of_hers(kept: Kept) -> None:
    ask: Ask = {"method": "POST", "url": "/papers", "json": {"text": "mine"}, "headers": {"idempotency-key": "k"}}
    hers = (await kept.ask(kept.ann, ask)).json()
    for who in kept.others.values():
        his = await kept.ask(who, ask)

        assert (his.status_code, "idempotency-replayed" in his.headers) == (201, False)
        assert his.json()["id"] != hers["id"]
        other = await kept.ask(who, ask | {"json": {"text": "another"}})
        assert other.json()["type"] == "/problems/key-reused"  # of his own first one, as it should be
    assert (await kept.ask(kept.ann, ask)).json() == hers


async def test_an_event_is_heard_in_the_tenant_that_it_was_said_in(kept: Kept) -> None:
    north, south = kept.others["another of her tenant"], kept.others["one of another tenant"]
    assert kept.id in (await kept.ask(north, {"url": "/heard"})).json()  # these rows are the tenant's, and nobody's own
    assert (await kept.ask(south, {"url": "/heard"})).json() == []


async def test_a_row_of_another_is_not_written_over_by_its_name(kept: Kept) -> None:
    ask: Ask = {"method": "PUT", "url": "/places/desk", "json": {"text": CANARY}}
    assert (await kept.ask(kept.ann, ask)).status_code == 204
    for label, who in kept.others.items():
        got = await kept.ask(who, ask | {"json": {"text": "evil"}})

        # In her tenant it is refused as what is not there; in others a name is free, and of nobody else's.
        assert got.status_code == (404 if label == "another of her tenant" else 204), got.text
        assert CANARY not in got.text
    assert (await kept.ask(kept.ann, {"url": "/places/desk"})).json() == CANARY


async def test_a_row_cannot_be_stored_for_somebody_else(kept: Kept) -> None:
    """Whatever a careless service makes of its input, the store has the last word."""
    namesakes = [who for who in kept.others.values() if who.principal and who.principal.subject == "ann"]
    for who in kept.others.values():
        got = await kept.ask(who, {"method": "POST", "url": "/gifts", "json": {"to": "ann", "text": "evil"}})

        assert (got.status_code, "ann" in got.text) == (204 if who in namesakes else 403, False), got.text


BLOBS = ("../../blobs/{id}", "..%2f..%2f{id}", "{id}/../{id}", "/etc/passwd", "../../issuer.json", "{id}\0", "", "{ID}")
"""Names of a file's bytes that would lead out of one's own."""


async def test_the_bytes_of_a_file_are_not_had_by_naming_them(wire: Any, tmp_path: Path) -> None:
    """Where a contract takes a `Blob` as a mere value, whoever writes one reads what is his tenant's, and no more."""
    async with wire(app(), tmp_path) as wired:
        ann, eve = wired.signed("ann", tenant="north"), wired.signed("eve", tenant="south")
        paper = (await wired.ask("POST", "/papers", {"text": "t"}, **ann)).json()["id"]
        await wired.ask("PUT", f"/papers/{paper}/file", CANARY.encode(), **ann, content_type="text/plain")
        assert (await wired.ask("GET", f"/papers/{paper}/file", **ann)).text == CANARY
        (id,) = [
            one.name for one in (tmp_path / ".enfilade" / "blobs").rglob("*") if re.fullmatch("[0-9a-f]{32}", one.name)
        ]
        draft = {"size": len(CANARY), "sha256": "0" * 64}

        assert (await wired.ask("POST", "/forged", {"file": {"id": id, **draft}}, **ann)).text == CANARY
        for name in (id, *BLOBS):
            asked = name.replace("{id}", id).replace("{ID}", id.upper())
            got = await wired.ask("POST", "/forged", {"file": {"id": asked, **draft}}, **eve)
            assert CANARY not in got.text
            assert got.status in (404, 422), (name, got)


async def test_the_matrix_finds_nothing_to_complain_of() -> None:
    """The same as users try it on apps of their own. It takes any answer for one, so it is not asked to search."""

    async def story(stage: Stage, ann: Caller) -> None:
        papers = ann.of(Papers)
        paper = await papers.write("the will")
        await papers.papers()
        await papers.change(paper.id, paper.version, "the last will")
        for look in (papers.paper, papers.by_query, papers.by_body, papers.by_header):
            await look(paper.id)
        key = (await ann.of(ApiKeys).create("scanner")).about
        await ann.of(ApiKeys).keys()
        await ann.of(ApiKeys).rotate(key.id)
        await ann.of(ApiKeys).revoke(key.id)
        await papers.remove((await papers.write("another")).id)

    matrix = await examine(app(), story)

    assert matrix.findings == []
    assert matrix.told > 10


async def test_the_matrix_finds_a_guard_that_was_forgotten() -> None:
    """Or it would prove nothing: the same service, where the contract asks only for somebody who signed in."""
    made = App("papers", services=[Open])
    made.service(Open).by(OpenService)

    async def story(stage: Stage, ann: Caller) -> None:
        await ann.of(Open).paper((await ann.of(Open).write("the will")).id)

    assert {one.rule for one in (await examine(made, story)).findings} == {"reached"}
