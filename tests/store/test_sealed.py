"""What the store keeps sealed: nobody reads it in the database, or moves it to another place."""

from __future__ import annotations

import sqlite3
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest

from enfilade import Message, Sensitive
from enfilade.clock import SystemClock
from enfilade.errors import CheckFailed, Conflict, KeyReused, Misuse, StartError, Taken
from enfilade.secrets.seal import DataKeys, Unsealable, next_key
from enfilade.service import Encrypted
from enfilade.store import Key, Record, Row, Store, Unique, Version, open_store, where
from enfilade.store.spec import spec_of
from enfilade.trace.recorder import Recorder

REPLY = b"a reply with a card in it"


async def begun(store: Store, key: str = "k", principal: str = "ann", fingerprint: str = "4111") -> Record:
    return await store.records.begin(key, "shop.do", principal, fingerprint, 60)


async def raw(store: Store, sql: str, want: Any = "rows", **values: Any) -> Any:
    if store.home.dialect.name == "sqlite":
        sql = sql.replace(" patient", " main.patient")  # not what a service sees of it
    statement = store.home.statement(sql, want, values)
    if want == "rows":
        return (await store.home.engine.read(statement)).rows
    return await store.home.engine.write((statement,))


async def test_a_stored_reply_is_not_read_in_the_database(place: Any) -> None:
    store = await place.store()
    await store.records.finish(await begun(store), REPLY)
    ((reply, fingerprint),) = await raw(store, "SELECT reply, fingerprint FROM enfilade_record")
    again = await begun(store)

    assert b"card" not in bytes(reply)
    assert "4111" not in fingerprint
    assert (again.state, again.reply) == ("done", REPLY)
    with pytest.raises(KeyReused):
        await begun(store, fingerprint="4112")


async def test_a_reply_that_was_moved_to_another_caller_is_given_to_nobody(place: Any) -> None:
    store = await place.store()
    await store.records.finish(await begun(store, principal="ann"), REPLY)
    await raw(store, "UPDATE enfilade_record SET principal = 'bob'", "count")
    with pytest.raises(Conflict, match="cannot be read any more"):
        await begun(store, principal="bob")


async def test_after_another_secret_a_command_is_refused_and_not_done_again(place: Any) -> None:
    if place.engine == "memory":
        pytest.skip("its rows end with the store")
    store = await place.store()
    await store.records.finish(await begun(store), REPLY)
    clock = SystemClock()
    other = open_store(
        place.url, "shop", clock=clock, recorder=Recorder(clock), secret=b"another secret of 32 characters!!"
    )
    await other.open()
    try:
        with pytest.raises(Conflict):
            await begun(other)
    finally:
        await other.close()


class PersonRow(Row, check=["age >= 0"]):
    id: Key[str]
    email: Sensitive[Unique[str]]
    age: Sensitive[int] = 0


@pytest.mark.parametrize(
    "row", [PersonRow(id="2", email="canary@example.org"), PersonRow(id="3", email="canary@example.org", age=-77177)]
)
async def test_no_error_of_the_database_quotes_a_row(place: Any, row: PersonRow) -> None:
    store = await place.store(PersonRow)
    people = store.table(PersonRow)
    async with store.unit():
        await people.add(PersonRow(id="1", email="canary@example.org"))
    with pytest.raises((Taken, CheckFailed)) as caught:
        async with store.unit():
            await people.add(row)
    told = "".join(traceback.format_exception(caught.value))

    assert "canary" not in told
    assert "77177" not in told


async def test_no_error_of_a_statement_quotes_its_values(place: Any) -> None:
    store = await place.store(PersonRow)
    canary = "-".join(["canary", "(4111)"])  # source lines stand in tracebacks
    with pytest.raises((Misuse, sqlite3.IntegrityError)) as caught:
        async with store.unit():
            await store.table(PersonRow).add(PersonRow(id="1", email="ann@example.org"))
            await store.database.run("UPDATE person SET age = :age", age=canary)

    assert canary not in "".join(traceback.format_exception(caught.value))


# -- encrypted fields


class Address(Message):
    street: str
    city: str


class PatientRow(Row):
    id: Key[str]
    name: str
    diagnosis: Encrypted[str]
    address: Encrypted[Address | None] = None
    since: Encrypted[datetime] | None = None
    version: Version = 0


ILL = PatientRow(
    id="p1", name="Ann", diagnosis="canary flu", address=Address(street="Canary Wharf", city="London"),
    since=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip
OLD = next_key("")
BOTH = next_key(OLD)


async def patients(place: Any, keys: str = OLD) -> Any:
    store = await place.store(PatientRow)
    store.home.keys = DataKeys(keys)
    return store, store.table(PatientRow)


async def test_an_encrypted_field_is_itself_in_the_row_and_nothing_in_the_database(place: Any) -> None:
    store, table = await patients(place)
    async with store.unit():
        await table.put(ILL)
    found = await table.get("p1")
    stored = await raw(store, "SELECT * FROM patient")

    assert found == ILL.replace(version=1) or found == ILL
    assert b"canary" not in repr(stored).lower().encode()
    assert "canary" not in repr(found).lower()
    assert (await table.find("name = :name", name="Ann")) == (found,)


async def test_a_changed_row_is_sealed_anew(place: Any) -> None:
    store, table = await patients(place)
    async with store.unit():
        await table.put(ILL)
    async with store.unit():
        (row,) = await table.put((await table.get("p1")).replace(diagnosis="well", address=None))

    assert await table.get("p1") == row
    assert row.diagnosis == "well"


@pytest.mark.parametrize(
    "move",
    [
        "UPDATE patient SET diagnosis = (SELECT diagnosis FROM patient WHERE id = 'p1') WHERE id = 'p2'",
        "UPDATE patient SET since = diagnosis WHERE id = 'p2'",
    ],
)
async def test_a_value_that_was_moved_is_not_read(place: Any, move: str) -> None:
    store, table = await patients(place)
    async with store.unit():
        await table.put(ILL, ILL.replace(id="p2", diagnosis="well"))
    await raw(store, move, "count")

    assert (await table.get("p1")).diagnosis == "canary flu"
    with pytest.raises(Unsealable):
        await table.get("p2")


async def test_a_value_that_was_written_past_the_platform_is_not_read(place: Any) -> None:
    store, table = await patients(place)
    async with store.unit():
        await table.put(ILL)
    await raw(store, "UPDATE patient SET diagnosis = :plain", "count", plain=b"\x00\x00healthy")
    with pytest.raises(Unsealable):
        await table.get("p1")


async def test_what_an_older_key_sealed_is_read_after_a_rotation(place: Any) -> None:
    store, table = await patients(place)
    async with store.unit():
        await table.put(ILL)
    store.home.keys = DataKeys(BOTH)

    assert (await table.get("p1")).diagnosis == "canary flu"


async def test_a_rewrap_needs_the_old_key_once_and_touches_no_value(place: Any) -> None:
    store, table = await patients(place)
    async with store.unit():
        await table.put(*(ILL.replace(id=f"p{number}") for number in range(5)))
    before = sorted(bytes(value)[-20:] for (value,) in await raw(store, "SELECT diagnosis FROM patient"))
    store.home.keys = DataKeys(BOTH)
    counts = (await store.rewrap(), await store.rewrap())
    store.home.keys = DataKeys(BOTH.split()[1])

    assert counts == (15, 0)
    assert {row.diagnosis for row in await table.find()} == {"canary flu"}
    assert sorted(bytes(value)[-20:] for (value,) in await raw(store, "SELECT diagnosis FROM patient")) == before


async def test_a_rewrap_goes_through_more_than_one_batch(place: Any) -> None:
    store, table = await patients(place)
    async with store.unit():
        await table.put(*(ILL.replace(id=f"p{number}", address=None, since=None) for number in range(1005)))
    store.home.keys = DataKeys(BOTH)

    assert await store.rewrap() == 1005


async def test_nobody_searches_or_sorts_by_an_encrypted_field(place: Any) -> None:
    _, table = await patients(place)
    with pytest.raises(Misuse, match="diagnosis is encrypted"):
        await table.find("diagnosis = :what", what="canary flu")
    with pytest.raises(Misuse, match="diagnosis is encrypted"):
        await table.find(order="diagnosis")
    with pytest.raises(Misuse, match="Diagnosis is encrypted"):
        await table.count(where("name = ? OR Diagnosis = ?", "Ann", "flu"))


async def test_raw_sql_does_not_make_rows_of_what_is_encrypted(place: Any) -> None:
    store, _ = await patients(place)
    with pytest.raises(Misuse, match="encrypted"):
        await store.database.rows(PatientRow, "SELECT * FROM patient")


def test_what_is_encrypted_can_be_no_key_and_no_index() -> None:
    class WrongRow(Row, unique=[("name", "pin")]):
        id: Encrypted[Key[str]]
        name: str
        pin: Encrypted[str]
        mail: Encrypted[Unique[str]]

    globals()["WrongRow"] = WrongRow
    with pytest.raises(StartError) as caught:
        spec_of(WrongRow)
    told = str(caught.value)

    assert "id is encrypted, and cannot be key" in told
    assert "mail is encrypted, and cannot be unique" in told


def test_what_is_encrypted_is_in_no_set_of_uniques() -> None:
    class SetRow(Row, unique=[("name", "pin")]):
        id: Key[str]
        name: str
        pin: Encrypted[str]

    globals()["SetRow"] = SetRow
    with pytest.raises(StartError, match="pin is encrypted"):
        spec_of(SetRow)
