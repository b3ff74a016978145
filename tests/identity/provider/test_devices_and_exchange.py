"""Devices that wait, and tokens on behalf of somebody."""

from __future__ import annotations

from typing import Any

import pytest

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


async def begin(world: Any, client: Any) -> dict[str, Any]:
    http = await world.http()
    answer = await http.post("/device_authorization", data={"client_id": client.id, "scope": "openid"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def kettle(world: Any) -> Any:
    client, _ = await world.client("Kettle", grants=(DEVICE, "refresh_token"), redirects=(), method="none")
    return client


async def poll(world: Any, client: Any, code: str) -> Any:
    return await world.token(client, grant_type=DEVICE, device_code=code)


async def test_a_device_that_asks_too_often_is_slowed_down(world: Any) -> None:
    client = await kettle(world)
    begun = await begin(world, client)

    async def error() -> str:
        return (await poll(world, client, begun["device_code"])).json()["error"]

    assert begun["interval"] == 5
    assert await error() == "authorization_pending"
    assert await error() == "slow_down"
    await world.stage.clock.advance(6)
    assert await error() == "slow_down"  # ten seconds by now
    await world.stage.clock.advance(15)
    assert await error() == "authorization_pending"
    await world.stage.clock.advance(600)
    assert await error() == "expired_token"


async def test_a_device_may_be_denied(world: Any) -> None:
    client = await kettle(world)
    begun = await begin(world, client)
    browser = await world.browser()
    page = await browser.sign_in(await browser.get("/device", user_code=begun["user_code"]))

    done = await browser.submit(page, allow="no")

    assert "refused" in done.text
    assert (await poll(world, client, begun["device_code"])).json()["error"] == "access_denied"


async def test_a_device_code_is_good_once_and_for_its_client(world: Any) -> None:
    client, other = await kettle(world), await kettle(world)
    begun = await begin(world, client)
    browser = await world.browser()
    await browser.submit(await browser.sign_in(await browser.get("/device", user_code=begun["user_code"])), allow="yes")

    assert (await poll(world, other, begun["device_code"])).json()["error"] == "invalid_grant"
    first = (await poll(world, client, begun["device_code"])).json()
    assert (await poll(world, client, begun["device_code"])).json()["error"] == "invalid_grant"
    again = await world.token(client, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert again.json()["error"] == "invalid_grant"


async def test_a_code_is_typed_in_as_people_do(world: Any) -> None:
    client = await kettle(world)
    begun = await begin(world, client)
    browser = await world.browser()

    asked = await browser.get("/device")
    wrong = await browser.submit(asked, user_code="BBBB-BBBB")
    right = await browser.submit(wrong, user_code=begun["user_code"].lower().replace("-", " "))

    assert "not known" in wrong.text
    assert "Password" in right.text
    assert "Kettle" in (await browser.sign_in(right)).text


async def test_nobody_lets_a_device_in_for_another(world: Any) -> None:
    client = await kettle(world)
    begun = await begin(world, client)
    mallory, victim = await world.browser(), await world.browser()
    page = await mallory.sign_in(await mallory.get("/device", user_code=begun["user_code"]), "bob")
    await victim.sign_in(await victim.get("/device", user_code=begun["user_code"]))

    answer = await victim.submit(page, allow="yes")

    assert answer.status_code == 403
    assert (await poll(world, client, begun["device_code"])).json()["error"] == "authorization_pending"


async def test_only_a_client_for_devices_begins_so(world: Any) -> None:
    client, _ = await world.client(method="none")
    http = await world.http()

    answer = await http.post("/device_authorization", data={"client_id": client.id})

    assert answer.json()["error"] == "unauthorized_client"


# -- on behalf of


async def exchange(world: Any, client: Any, secret: str, token: str, **said: str) -> Any:
    return await world.token(
        client, secret, grant_type=EXCHANGE, subject_token=token, subject_token_type=ACCESS, **said
    )


@pytest.fixture
async def anns(world: Any) -> str:
    client, secret = await world.client(scopes=("orders:read", "orders:write"))
    return (await world.exchanged(client, secret, scope="openid orders:read orders:write"))["access_token"]


async def test_a_service_acts_for_somebody_with_no_more_rights_than_both_have(world: Any, anns: str) -> None:
    agent, secret = await world.client(
        "Agent", grants=(EXCHANGE,), redirects=(), scopes=("orders:read", "billing:read"), agent=True
    )

    answer = (await exchange(world, agent, secret, anns)).json()
    said = await world.claims(answer["access_token"])

    assert answer["issued_token_type"] == ACCESS
    assert "refresh_token" not in answer
    assert (said["sub"], said["client_id"], said["scope"]) == ("acc_ann", agent.id, "orders:read")
    assert said["act"] == {"sub": agent.id}
    http = await world.http()
    headers = {"authorization": f"Bearer {answer['access_token']}"}
    assert (await http.get("/orders", headers=headers)).status_code == 200


async def test_the_chain_of_who_acts_is_kept(world: Any, anns: str) -> None:
    one, first = await world.client("One", grants=(EXCHANGE,), redirects=(), scopes=("orders:read",))
    two, second = await world.client("Two", grants=(EXCHANGE,), redirects=(), scopes=("orders:read",))
    token = (await exchange(world, one, first, anns)).json()["access_token"]

    token = (await exchange(world, two, second, token)).json()["access_token"]

    assert (await world.claims(token))["act"] == {"sub": two.id, "act": {"sub": one.id}}
    for _ in range(6):
        token = (await exchange(world, two, second, token)).json()["access_token"]
    assert (await exchange(world, two, second, token)).json()["error"] == "invalid_request"


async def test_an_exchanged_token_does_not_outlive_the_first(world: Any, anns: str) -> None:
    service, secret = await world.client("One", grants=(EXCHANGE,), redirects=(), scopes=("orders:read",))
    await world.stage.clock.advance(500)

    answer = (await exchange(world, service, secret, anns)).json()

    assert answer["expires_in"] <= 100


async def test_what_is_exchanged_is_a_good_token_of_ours_for_the_client(world: Any, anns: str) -> None:
    service, secret = await world.client("One", grants=(EXCHANGE,), redirects=(), scopes=("orders:read",))
    of_tenant, others = await world.client(
        "Two", grants=(EXCHANGE,), redirects=(), scopes=("orders:read",), realm="acme"
    )
    machine, machines = await world.client(
        "Pay", grants=("client_credentials",), redirects=(), resources=("https://pay.example",), scopes=("pay",)
    )
    foreign = (
        await world.token(machine, machines, grant_type="client_credentials", resource="https://pay.example")
    ).json()["access_token"]

    wrong = [
        await exchange(world, service, secret, "x"),
        await exchange(world, service, secret, foreign),
        await exchange(world, of_tenant, others, anns),
        await exchange(world, service, secret, anns, scope="orders:write"),
        await exchange(world, service, secret, anns, resource="https://pay.example"),
        await exchange(world, service, secret, anns, actor_token=foreign, actor_token_type=ACCESS),
        await exchange(world, service, secret, anns, requested_token_type="urn:ietf:params:oauth:token-type:id_token"),
    ]

    assert [one.status_code for one in wrong] == [400] * len(wrong)


async def test_a_revoked_sign_in_ends_what_others_do_for_it(world: Any) -> None:
    client, secret = await world.client(scopes=("orders:read",))
    token = await world.exchanged(client, secret, scope="openid orders:read")
    service, others = await world.client("One", grants=(EXCHANGE,), redirects=(), scopes=("orders:read",))
    exchanged = (await exchange(world, service, others, token["access_token"])).json()["access_token"]
    http = await world.http()

    await http.post("/revoke", data={"token": token["refresh_token"]}, auth=(client.id, secret))

    told = await http.post("/introspect", data={"token": exchanged}, auth=(service.id, others))
    assert told.json() == {"active": False}
    assert (await exchange(world, service, others, token["access_token"])).json()["error"] == "invalid_request"
