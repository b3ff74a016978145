"""What the store keeps sealed: nobody reads it in the database, or moves it to another place."""

from __future__ import annotations

import sqlite3
import traceback
from typing import Any

import pytest

from enfilade.clock import SystemClock
from enfilade.contract.marks import Sensitive
from enfilade.errors import CheckFailed, Conflict, KeyReused, Misuse, Taken
from enfilade.store import Key, Record, Row, Store, Unique, open_store
from enfilade.trace.recorder import Recorder

REPLY = b"a reply with a card in it"


async def begun(store: Store, key: str = "k", principal: str = "ann", fingerprint: str = "4111") -> Record:
    return await store.records.begin(key, "shop.do", principal, fingerprint, 60)


async def raw(store: Store, sql: str, want: Any = "rows", **values: Any) -> Any:
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
