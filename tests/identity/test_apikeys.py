"""API keys: made by a person for a device, with no more rights than his own."""

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from enfilade import App, Message, Scope, contract, query
from enfilade.errors import NotFound
from enfilade.identity.apikeys import ApiKeys
from enfilade.identity.apikeys.contract import ScopeNotYours, UnknownApiKey
from enfilade.identity.apikeys.service import ApiKeyRow
from enfilade.service import current
from enfilade.testing import Caller, Stage


class Seen(Message):
    me: str
    tenant: str
    client: str


@contract(owner="tests", version=1)
class Meter(Protocol):
    @query("GET /reading", needs=Scope("meters:read"))
    async def reading(self) -> Seen:
        """Who reads."""
        ...


class MeterService(Meter):
    async def reading(self) -> Seen:
        call = current()
        assert call.caller is not None
        return Seen(me=call.me, tenant=call.tenant, client=call.caller.client)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    app = App("metering", services=[ApiKeys, Meter])
    app.service(Meter).by(MeterService)
    async with Stage(app) as stage:
        yield stage


def ann(stage: Stage, tenant: str = "") -> Caller:
    return stage.acting("ann", scopes=["meters:read", "meters:write"], tenant=tenant)


async def read(stage: Stage, key: str, *, field: str = "authorization") -> tuple[int, dict[str, str]]:
    headers = {"authorization": f"ApiKey {key}"} if field == "authorization" else {"x-api-key": key}
    answer = await stage.http.get("/reading", headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("field", ["authorization", "x-api-key"])
@pytest.mark.parametrize("tenant", ["", "acme"])
async def test_a_key_acts_for_whoever_made_it(stage: Stage, tenant: str, field: str) -> None:
    issued = await ann(stage, tenant).of(ApiKeys).create("scanner", ("meters:read",))

    status, seen = await read(stage, issued.key, field=field)

    assert status == 200
    assert seen == {"me": "ann", "tenant": tenant, "client": f"key:{issued.about.id}"}


async def test_a_key_has_only_the_scopes_that_it_was_given(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner", ("meters:write",))

    assert (await read(stage, issued.key))[0] == 403


async def test_nobody_gives_a_key_a_scope_that_he_lacks(stage: Stage) -> None:
    with pytest.raises(ScopeNotYours) as refused:
        await ann(stage).of(ApiKeys).create("scanner", ("admin", "meters:read"))

    assert refused.value.scopes == ("admin",)


async def test_a_key_makes_no_keys(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner", ("meters:read",))

    answer = await stage.http.post("/api-keys", json={"label": "more"}, headers={"x-api-key": issued.key})

    assert answer.status_code == 403


async def test_only_a_digest_is_kept(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner")

    (row,) = await stage.rows(ApiKeyRow)
    assert issued.key not in repr(row)
    assert issued.key[-43:] not in repr(row)  # the secret may have any letter of it, "_" too


@pytest.mark.parametrize(
    "key",
    [
        "ek_",
        "ek_aaaaaaaaaaaaaaaa_" + "A" * 43,
        "ek_aaaaaaaaaaaaaaaa_" + "A" * 42,
        "ek_AAAAAAAAAAAAAAAA_" + "A" * 43,
        "ek_aaaaaaaaaaaaaaaa_" + "A" * 4300,
        "ek_'; drop table--_" + "A" * 43,
    ],
)
async def test_what_is_no_key_is_401_and_tells_nothing(stage: Stage, key: str) -> None:
    status, problem = await read(stage, key)

    assert status == 401
    assert key not in str(problem)


async def test_a_wrong_secret_of_a_right_id_is_401(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner", ("meters:read",))
    last = "A" if issued.key[-1] != "A" else "B"

    assert (await read(stage, issued.key[:-1] + last))[0] == 401


async def test_a_key_ends(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner", ("meters:read",), days=1)
    await stage.advance(24 * 3600 + 1)

    assert (await read(stage, issued.key))[0] == 401


async def test_a_rotated_key_is_good_for_the_overlap_and_no_longer(stage: Stage) -> None:
    old = await ann(stage).of(ApiKeys).create("scanner", ("meters:read",))
    new = await ann(stage).of(ApiKeys).rotate(old.about.id, overlap=2)

    assert new.about.scopes == ("meters:read",)
    assert (await read(stage, old.key))[0] == 200
    await stage.advance(2 * 3600 + 60)
    assert (await read(stage, old.key))[0] == 401
    assert (await read(stage, new.key))[0] == 200


async def test_a_key_that_was_taken_back_is_refused_within_half_a_minute(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner", ("meters:read",))
    assert (await read(stage, issued.key))[0] == 200

    await ann(stage).of(ApiKeys).revoke(issued.about.id)
    await stage.advance(31)

    assert (await read(stage, issued.key))[0] == 401


async def test_everybody_sees_and_ends_his_own_keys_only(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner")
    bob = stage.acting("bob")

    assert (await bob.of(ApiKeys).keys()).items == ()
    for attempt in (bob.of(ApiKeys).revoke(issued.about.id), bob.of(ApiKeys).rotate(issued.about.id)):
        with pytest.raises(UnknownApiKey):
            await attempt
    with pytest.raises(UnknownApiKey):
        await stage.acting("ann", tenant="acme").of(ApiKeys).revoke(issued.about.id)
    assert [one.id for one in (await ann(stage).of(ApiKeys).keys()).items] == [issued.about.id]


async def test_its_owner_sees_when_a_key_was_used_last(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner", ("meters:read",))
    assert (await ann(stage).of(ApiKeys).keys()).items[0].used is None

    await read(stage, issued.key)

    assert (await ann(stage).of(ApiKeys).keys()).items[0].used == stage.clock.now()


async def test_nobody_outside_asks_whom_a_key_acts_for(stage: Stage) -> None:
    issued = await ann(stage).of(ApiKeys).create("scanner")

    with pytest.raises(NotFound):
        await stage.acting("ann").of(ApiKeys).identify(issued.key)
