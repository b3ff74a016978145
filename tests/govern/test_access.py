"""The access matrix finds who gets in, and what he reaches, in apps with one mistake each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from enfilade import (
    App,
    Message,
    Owner,
    Problem,
    Role,
    Scope,
    anyone,
    command,
    contract,
    peers,
    query,
    signed_in,
)
from enfilade.call import Call, Handler
from enfilade.contract.operation import Operation
from enfilade.errors import Forbidden
from enfilade.govern.access import Matrix, examine
from enfilade.service import Key, Owned, Row, Table, atomic, current, new_id
from enfilade.testing import Caller, Stage
from shop import access as shop_access
from shop import app as shop_app


class Note(Message):
    id: str
    text: str


class UnknownNote(Problem, status=404):
    """There is no such note."""


@contract(owner="tests", version=1, needs=Owner)
class Notes(Protocol):
    @command("POST /notes", status=201, needs=Scope("notes:write"))
    async def write(self, text: str) -> Note:
        """Write a note."""
        ...

    @query("GET /notes/{id}", raises=[UnknownNote])
    async def note(self, id: str) -> Note:
        """One note."""
        ...

    @query("GET /notes")
    async def notes(self) -> tuple[Note, ...]:
        """All notes."""
        ...

    @command("DELETE /notes/{id}", status=204, raises=[UnknownNote])
    async def burn(self, id: str) -> None:
        """Burn a note."""
        ...

    @command("POST /notes/{id}/text", needs=Role("editor") | Owner, raises=[UnknownNote])
    async def correct(self, id: str, text: str) -> Note:
        """Write it anew."""
        ...

    @query("GET /motto", needs=anyone)
    async def motto(self) -> Note:
        """What stands at the door."""
        ...

    @query("GET /count", needs=peers)
    async def count(self) -> int:
        """How many there are."""
        ...


class NoteRow(Row):
    id: Key[str]
    author: Owned[str]
    text: str


@dataclass
class NotesService(Notes):
    rows: Table[NoteRow]

    async def write(self, text: str) -> Note:
        return await self._add(NoteRow(id=new_id("not"), author=current().me, text=text))

    @atomic
    async def _add(self, row: NoteRow) -> Note:
        await self.rows.put(row)
        return row.into(Note)

    async def note(self, id: str) -> Note:
        row = await self.rows.get(id)
        if row is None:
            raise UnknownNote()
        return row.into(Note)

    async def notes(self) -> tuple[Note, ...]:
        return tuple(row.into(Note) for row in await self.rows.find(order="id"))

    @atomic
    async def burn(self, id: str) -> None:
        if not await self.rows.delete(id):
            raise UnknownNote()

    @atomic
    async def correct(self, id: str, text: str) -> Note:
        row = await self.rows.get(id, lock=True)
        if row is None:
            raise UnknownNote()
        (row,) = await self.rows.put(row.replace(text=text))
        return row.into(Note)

    async def motto(self) -> Note:
        return Note(id="motto", text="Come in.")

    async def count(self) -> int:
        return await self.rows.count()


async def story(stage: Stage, ann: Caller) -> None:
    notes = ann.of(Notes)
    first = await notes.write("one")
    second = await notes.write("two")
    await notes.correct(first.id, "uno")
    await notes.note(first.id)
    await notes.notes()
    await notes.motto()
    await notes.burn(second.id)


def app(service: Any = NotesService, kind: Any = Notes) -> App:
    made = App("notes", services=[kind])
    made.service(kind).by(service)
    return made


def rules(matrix: Matrix) -> set[tuple[str, str]]:
    return {(one.rule, one.what.partition(" ")[0]) for one in matrix.findings}


async def test_an_app_without_a_mistake_passes() -> None:
    matrix = await examine(app(), story)

    assert [str(one) for one in matrix.findings] == []
    assert matrix.operations == 7
    assert matrix.told == 7
    assert matrix.calls > 150
    assert matrix.untold == set()


async def test_what_the_story_leaves_out_is_told() -> None:
    async def short(stage: Stage, ann: Caller) -> None:
        await ann.of(Notes).write("one")

    assert (await examine(app(), short)).untold == {"notes.note", "notes.burn", "notes.correct"}


async def test_a_station_that_answers_before_the_guards_is_found() -> None:
    """Users' stations stand before `needs`: one that answers by itself lets everybody in."""

    def cache(operation: Operation, handler: Handler) -> Handler:
        async def kept(call: Call) -> Any:
            return ()

        return kept if operation.name == "notes" else handler

    hasty = App("notes", services=[Notes], stations=[cache])
    hasty.service(Notes).by(NotesService)

    found = rules(await examine(hasty))

    assert ("let-in", "notes.notes") in found
    assert ("let-in", "notes.note") not in found


async def test_a_station_that_refuses_more_than_the_contract_says_is_found() -> None:
    def closed(operation: Operation, handler: Handler) -> Handler:
        def refused(call: Call) -> Awaitable[Any]:
            raise Forbidden()

        return refused if operation.name == "motto" else handler

    strict = App("notes", services=[Notes], stations=[closed])
    strict.service(Notes).by(NotesService)

    assert ("kept-out", "notes.motto") in rules(await examine(strict))


@contract(owner="tests", version=1, needs=Owner)
class Shelf(Protocol):
    """Notes in a service that keeps them in its own memory, where no store narrows what it finds."""

    @command("POST /notes", status=201)
    async def write(self, text: str) -> Note:
        """Write a note."""
        ...

    @query("GET /notes/{id}", raises=[UnknownNote])
    async def note(self, id: str) -> Note:
        """One note."""
        ...

    @query("GET /notes")
    async def notes(self) -> tuple[Note, ...]:
        """All notes."""
        ...

    @command("DELETE /notes", status=204)
    async def burn(self) -> None:
        """Burn them all."""
        ...


class Forgetful(Shelf):
    """It asks nobody whose notes they are, but for what the test says."""

    asks: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.kept: dict[str, tuple[tuple[str, str], Note]] = {}

    def his(self, what: str) -> list[Note]:
        call = current()
        return [note for who, note in self.kept.values() if what not in self.asks or who == (call.tenant, call.me)]

    async def write(self, text: str) -> Note:
        call = current()
        note = Note(id=new_id("not"), text=text)
        self.kept[note.id] = (call.tenant, call.me), note
        return note

    async def note(self, id: str) -> Note:
        found = [one for one in self.his("note") if one.id == id]
        if not found:
            raise UnknownNote()
        return found[0]

    async def notes(self) -> tuple[Note, ...]:
        return tuple(self.his("notes"))

    async def burn(self) -> None:
        for one in self.his("burn"):
            del self.kept[one.id]


async def shelved(stage: Stage, ann: Caller) -> None:
    shelf = ann.of(Shelf)
    await shelf.burn()
    first = await shelf.write("one")
    await shelf.note(first.id)
    await shelf.notes()


@pytest.mark.parametrize(
    ("forgets", "finding"),
    [
        ("note", ("reached", "shelf.note")),
        ("notes", ("leaked", "shelf.notes")),
        ("burn", ("changed", "shelf.notes")),
    ],
)
async def test_a_service_that_forgets_whose_notes_they_are_is_found(forgets: str, finding: tuple[str, str]) -> None:
    class Careless(Forgetful):
        asks = frozenset({"note", "notes", "burn"}) - {forgets}

    found = rules(await examine(app(Careless, Shelf), shelved))

    assert finding in found


async def test_a_service_that_asks_each_time_passes() -> None:
    class Careful(Forgetful):
        asks = frozenset({"note", "notes", "burn"})

    assert rules(await examine(app(Careful, Shelf), shelved)) == set()


@contract(owner="tests", version=1, needs=signed_in)
class Board(Protocol):
    @command("POST /cards", status=201)
    async def pin(self, text: str) -> Note:
        """Pin a card."""
        ...

    @query("GET /cards/{id}", raises=[UnknownNote])
    async def card(self, id: str) -> Note:
        """One card."""
        ...


class CardRow(Row):
    id: Key[str]
    text: str


@dataclass
class BoardService(Board):
    rows: Table[CardRow]

    @atomic
    async def pin(self, text: str) -> Note:
        row = CardRow(id=new_id("crd"), text=text)
        await self.rows.put(row)
        return row.into(Note)

    async def card(self, id: str) -> Note:
        row = await self.rows.get(id)
        if row is None:
            raise UnknownNote()
        return row.into(Note)


@contract(owner="tests", version=1, needs=Owner)
class Margins(Protocol):
    """What is written beside notes: of a note that is not there, there is nothing."""

    @command("POST /margins", status=201)
    async def write(self, text: str) -> Note:
        """Begin a note."""
        ...

    @query("GET /margins/{id}")
    async def beside(self, id: str) -> tuple[str, ...]:
        """What stands beside it."""
        ...

    @query("GET /margins")
    async def search(self, ids: tuple[str, ...]) -> tuple[Note, ...]:
        """Whatever stands beside these."""
        ...

    @command("DELETE /margins/{id}", status=204)
    async def wipe(self, id: str) -> None:
        """Wipe out what stands beside it, if it does."""
        ...


class MarginsService(Margins):
    """It asks whose they are, but for what the test says, and never refuses."""

    asks: frozenset[str] = frozenset({"beside", "search", "wipe"})

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, str, str]] = {}

    def his(self, what: str, id: str) -> list[str]:
        kept, call = self.kept.get(id), current()
        return [kept[2]] if kept and (what not in self.asks or kept[:2] == (call.tenant, call.me)) else []

    async def write(self, text: str) -> Note:
        note = Note(id=new_id("not"), text=text)
        self.kept[note.id] = current().tenant, current().me, text
        return note

    async def beside(self, id: str) -> tuple[str, ...]:
        return tuple(self.his("beside", id))

    async def search(self, ids: tuple[str, ...]) -> tuple[Note, ...]:
        return tuple(Note(id=id, text=" ".join(self.his("search", id))) for id in ids)

    async def wipe(self, id: str) -> None:
        if self.his("wipe", id):
            del self.kept[id]


async def scribbled(stage: Stage, ann: Caller) -> None:
    margins = ann.of(Margins)
    one = await margins.write("one")
    await margins.beside(one.id)
    await margins.search((one.id,))


async def test_an_answer_that_is_empty_for_any_id_is_no_finding() -> None:
    assert rules(await examine(app(MarginsService, Margins), scribbled)) == set()


@pytest.mark.parametrize("forgets", ["beside", "search"])
async def test_an_answer_that_is_empty_for_others_only_is_one(forgets: str) -> None:
    class Careless(MarginsService):
        asks = MarginsService.asks - {forgets}

    assert rules(await examine(app(Careless, Margins), scribbled)) == {("reached", f"margins.{forgets}")}


async def test_of_a_command_that_answers_nobody_knows_what_it_did() -> None:
    async def wiped(stage: Stage, ann: Caller) -> None:
        await scribbled(stage, ann)
        note = await ann.of(Margins).write("two")
        await ann.of(Margins).wipe(note.id)

    assert rules(await examine(app(MarginsService, Margins), wiped)) == {("reached", "margins.wipe")}


async def test_what_a_contract_shares_within_a_tenant_is_told_and_no_finding() -> None:
    async def pinned(stage: Stage, ann: Caller) -> None:
        card = await ann.of(Board).pin("tea at four")
        await ann.of(Board).card(card.id)

    matrix = await examine(app(BoardService, Board), pinned)

    assert matrix.findings == []
    assert matrix.shared == {"board.card"}


@pytest.fixture(autouse=True)
async def _no_log(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    yield
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_the_shop_gives_everybody_his_own_and_no_more() -> None:
    matrix = await examine(shop_app.app, shop_access.story, stage=shop_access.stage)

    assert [str(one) for one in matrix.findings] == []
    assert matrix.shared == set()
    assert matrix.untold == {"inventory.recount"}  # for the warehouse
