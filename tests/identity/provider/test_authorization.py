"""The browser's way: what a client may ask, what a person is asked, and where a browser is never sent."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.identity.people import Person


async def test_a_code_comes_back_with_its_state_and_who_it_is_from(world: Any) -> None:
    client, _ = await world.client()

    back = await world.allowed(client)

    assert back.keys() == {"code", "state", "iss"}
    assert (back["state"], back["iss"]) == ("xyz", world.ISSUER)


async def test_errors_say_who_they_are_from_too(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()

    back = world.back(await browser.get("/authorize", **world.request(client, prompt="none")))

    assert back == {"error": "login_required", "state": "xyz", "iss": world.ISSUER}


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/back", "https://client.example/back/", "https://client.example/back?x=1",
        "https://client.example/Back", "https://client.example:444/back", "http://client.example/back",
        "https://client.example/back#", "https://client.example.evil.example/back", "//client.example/back",
        "javascript:alert(1)", "https://client.example@evil.example/back", "",
    ],
)  # fmt: skip
async def test_a_browser_is_sent_to_registered_addresses_only(world: Any, address: str) -> None:
    client, _ = await world.client()
    browser = await world.browser()

    answer = await browser.get("/authorize", **world.request(client, redirect_uri=address))

    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_an_unknown_client_sends_nobody_anywhere(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()

    answer = await browser.get("/authorize", **{**world.request(client), "client_id": "cli_unknown"})

    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_native_app_may_listen_on_any_port_of_its_own_machine(world: Any) -> None:
    client, _ = await world.client(method="none", redirects=("http://127.0.0.1/back", "http://[::1]/back"))
    browser = await world.browser()

    for address in ("http://127.0.0.1:51004/back", "http://[::1]:51004/back", "http://127.0.0.1/back"):
        page = await browser.get("/authorize", **world.request(client, redirect_uri=address))
        assert page.status_code == 200, address
    for address in ("http://127.0.0.1:51004/other", "http://localhost:51004/back", "http://127.0.0.1:99x/back"):
        page = await browser.get("/authorize", **world.request(client, redirect_uri=address))
        assert page.status_code == 400, address


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge_method": "plain", "code_challenge": "x" * 43}, "invalid_request"),
        ({"code_challenge_method": "", "code_challenge": "x" * 43}, "invalid_request"),
        ({"code_challenge": "", "code_challenge_method": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://client.example/r"}, "request_uri_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"scope": "orders:write"}, "invalid_scope"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"nonce": "n" * 3000}, "invalid_request"),
    ],
)
async def test_the_client_is_told_what_is_wrong(world: Any, changes: dict[str, str], error: str) -> None:
    client, _ = await world.client()
    browser = await world.browser()

    answer = await browser.get("/authorize", **world.request(client, **changes))

    assert world.back(answer)["error"] == error
    assert answer.headers["location"].startswith(world.CALLBACK + "?")


async def test_text_that_no_store_takes_is_refused(world: Any) -> None:
    client, secret = await world.client()
    http = await world.http()

    answers = [
        await http.get("/authorize", params={"client_id": "a\0b"}),
        await http.post(
            "/token", data={"grant_type": "refresh_token", "refresh_token": "\0"}, auth=(client.id, secret)
        ),
        await http.post("/token", data={"grant_type": "client_credentials"}, auth=("a\0b", secret)),
        await http.post(
            "/token", content=b"grant_type=%ff", headers={"content-type": "application/x-www-form-urlencoded"}
        ),
        await http.post("/token", json={"grant_type": "client_credentials"}),
        await http.post("/register", json={"client_name": "a\0b"}),
    ]

    assert [one.status_code for one in answers] == [400, 400, 401, 400, 415, 400]


async def test_what_only_looks_gets_no_code(world: Any) -> None:
    client, _ = await world.client()
    http = await world.http()

    assert (await http.head("/authorize", params=world.request(client))).status_code == 404
    assert (await http.head("/jwks.json")).status_code == 200


async def test_a_parameter_that_stands_twice_is_refused(world: Any) -> None:
    client, _ = await world.client()
    http = await world.http()
    said = [*world.request(client).items(), ("scope", "email")]

    assert (await http.get("/authorize", params=said)).status_code == 400


async def test_who_is_signed_in_and_has_agreed_is_asked_nothing(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()
    await world.allowed(client, browser)

    again = await browser.get("/authorize", **world.request(client))
    silent = await browser.get("/authorize", **world.request(client, prompt="none"))

    assert "code" in world.back(again)
    assert "code" in world.back(silent)


async def test_more_scopes_need_another_consent(world: Any) -> None:
    client, _ = await world.client(scopes=("orders:read",))
    browser = await world.browser()
    await world.allowed(client, browser, scope="openid")

    page = await browser.get("/authorize", **world.request(client, scope="openid orders:read"))
    silent = await browser.get("/authorize", **world.request(client, scope="openid orders:read", prompt="none"))

    assert "orders:read" in page.text
    assert world.back(silent)["error"] == "consent_required"


async def test_a_client_of_ours_needs_no_consent(world: Any) -> None:
    client, _ = await world.client(consent=False)
    browser = await world.browser()

    answer = await browser.sign_in(await browser.get("/authorize", **world.request(client)))

    assert "code" in world.back(answer)


async def test_a_public_app_on_the_device_is_asked_about_each_time(world: Any) -> None:
    client, _ = await world.client(method="none", redirects=("com.example.shop:/back",))
    browser = await world.browser()
    asked = world.request(client, redirect_uri="com.example.shop:/back")
    page = await browser.sign_in(await browser.get("/authorize", **asked))
    answer = await browser.submit(page, allow="yes")
    assert answer.headers["location"].startswith("com.example.shop:/back?code=")

    again = await browser.get("/authorize", **asked)

    assert again.status_code == 200
    assert "wants to act for you" in again.text


async def test_a_denial_is_told(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()
    page = await browser.sign_in(await browser.get("/authorize", **world.request(client)))

    assert world.back(await browser.submit(page, allow="no"))["error"] == "access_denied"


async def test_prompt_login_and_max_age_ask_again(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()
    await world.allowed(client, browser)

    assert "Password" in (await browser.get("/authorize", **world.request(client, prompt="login"))).text
    assert "code" in world.back(await browser.get("/authorize", **world.request(client, max_age="60")))
    await world.stage.clock.advance(61)
    assert "Password" in (await browser.get("/authorize", **world.request(client, max_age="60"))).text
    page = await browser.get("/authorize", **world.request(client, max_age="0"))
    assert "code" in world.back(await browser.sign_in(page))


async def test_a_better_proof_is_asked_for_and_its_lack_is_told(world: Any) -> None:
    client, secret = await world.client(consent=False)
    browser = await world.browser()
    await browser.sign_in(await browser.get("/authorize", **world.request(client)))

    page = await browser.get("/authorize", **world.request(client, acr_values="urn:two"))
    assert world.back(await browser.sign_in(page))["error"] == "unmet_authentication_requirements"

    ann = world.people.people["ann"]
    world.people.people["ann"] = Person(subject=ann.subject, name="Ann", assurance="urn:two")
    page = await browser.get("/authorize", **world.request(client, acr_values="urn:two"))
    code = world.back(await browser.sign_in(page))["code"]
    answer = await world.token(
        client, secret, grant_type="authorization_code", code=code, redirect_uri=world.CALLBACK,
        code_verifier=world.VERIFIER,
    )  # fmt: skip
    assert (await world.claims(answer.json()["id_token"]))["acr"] == "urn:two"
    assert (await world.claims(answer.json()["access_token"]))["acr"] == "urn:two"


async def test_a_session_ends(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()
    await world.allowed(client, browser)

    await world.stage.clock.advance(12 * 3600 + 1)

    assert world.back(await browser.get("/authorize", **world.request(client, prompt="none")))["error"] == (
        "login_required"
    )


# -- tenants


async def test_a_client_of_a_tenant_lets_in_its_own_people_only(world: Any) -> None:
    client, secret = await world.client(realm="acme", consent=False)
    browser = await world.browser()
    page = await browser.get("/authorize", **world.request(client))

    assert (await browser.sign_in(page, "ann")).status_code == 403
    code = world.back(await browser.sign_in(page, "bob"))["code"]
    answer = await world.token(
        client, secret, grant_type="authorization_code", code=code, redirect_uri=world.CALLBACK,
        code_verifier=world.VERIFIER,
    )  # fmt: skip
    assert (await world.claims(answer.json()["access_token"]))["tenant"] == "acme"


async def test_who_is_signed_in_for_another_tenant_is_asked_again(world: Any) -> None:
    mine, _ = await world.client(consent=False)
    theirs, _ = await world.client(realm="acme", consent=False)
    browser = await world.browser()
    await browser.sign_in(await browser.get("/authorize", **world.request(mine)))

    assert "Password" in (await browser.get("/authorize", **world.request(theirs))).text
    assert "Password" in (await browser.get("/authorize", **world.request(mine, tenant="acme"))).text


# -- pages and their forms


async def test_pages_have_no_scripts_and_stand_in_nobodys_frame(world: Any) -> None:
    client, _ = await world.client()
    page = await (await world.browser()).get("/authorize", **world.request(client))

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy
    assert "form-action 'self' https://client.example;" in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"
    assert "<script" not in page.text
    assert "http" not in page.text.replace(world.CALLBACK, "")


async def test_nothing_of_a_request_becomes_markup(world: Any) -> None:
    evil = '"><script>alert(1)</script>'
    client, _ = await world.client(evil)
    browser = await world.browser()

    page = await browser.get("/authorize", **world.request(client, login_hint=evil, state=evil, nonce=evil))
    wrong = await browser.submit(page, login=evil, password="x")
    asked = await browser.sign_in(page)
    failed = await browser.get("/authorize", client_id=evil)
    code = await browser.get("/device", user_code=evil)

    assert all("<script" not in one.text for one in (page, wrong, asked, failed, code))
    assert "&lt;script&gt;" in page.text
    assert "Ann &lt;Arbor&gt;" in asked.text


async def test_a_policy_cannot_be_written_by_an_address(world: Any) -> None:
    client, _ = await world.client(redirects=("https://client.example/back;script-src",))
    page = await (await world.browser()).get(
        "/authorize", **world.request(client, redirect_uri="https://client.example/back;script-src")
    )

    assert "script-src" not in page.headers["content-security-policy"]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(world: Any) -> None:
    client, _ = await world.client()

    page = await (await world.browser()).get("/authorize", **world.request(client))

    assert page.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Lax")


@pytest.mark.parametrize("settings", [{"issuer": "https://id.example/auth"}])
async def test_over_https_the_cookie_is_this_hosts_alone(world: Any) -> None:
    client, _ = await world.client()

    page = await (await world.browser()).get("/auth/authorize", **world.request(client))

    assert page.headers["set-cookie"].startswith("__Host-enfilade=")
    assert page.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")


async def test_a_new_sign_in_has_a_new_cookie(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()
    page = await browser.get("/authorize", **world.request(client))
    before = browser.http.cookies["enfilade"]
    planted = await world.browser("192.0.2.66")
    planted.http.cookies.set("enfilade", before)

    await browser.sign_in(page)

    assert browser.http.cookies["enfilade"] != before
    answer = await planted.get("/authorize", **world.request(client, prompt="none"))
    assert world.back(answer)["error"] == "login_required"


async def test_a_form_is_good_in_the_browser_that_it_was_made_for(world: Any) -> None:
    client, _ = await world.client()
    mallory, victim = await world.browser(), await world.browser()
    page = await mallory.get("/authorize", **world.request(client))
    await victim.get("/authorize", **world.request(client))

    answer = await victim.sign_in(page)  # she is to be signed in as somebody else

    assert answer.status_code == 403
    assert "location" not in answer.headers


async def test_a_consent_cannot_be_given_by_another_site(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()
    page = await browser.sign_in(await browser.get("/authorize", **world.request(client)))
    action, fields = browser.form(page)

    for wrong in ({"form": ""}, {"form": "0" * 64}, {"scope": "openid offline_access"}, {"state": "other"}):
        answer = await browser.http.post(action, data={**fields, **wrong, "allow": "yes"})
        assert answer.status_code == 403, wrong
    foreign = await browser.http.post(action, data={**fields, "allow": "yes"}, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    assert "code" in world.back(await browser.submit(page, allow="yes"))


async def test_the_form_of_signing_in_gives_no_consent(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()
    await browser.sign_in(await browser.get("/authorize", **world.request(client)))
    page = await browser.get("/authorize", **world.request(client, prompt="login"))
    _, fields = browser.form(page)

    answer = await browser.http.post("/consent", data={**fields, "allow": "yes"})

    assert answer.status_code == 403


async def test_a_wrong_password_says_no_more_than_that(world: Any) -> None:
    client, _ = await world.client()
    browser = await world.browser()
    page = await browser.get("/authorize", **world.request(client))

    wrong = await browser.sign_in(page, "ann", "wrong")
    unknown = await browser.sign_in(page, "nobody", "wrong")

    assert wrong.status_code == unknown.status_code == 403
    assert wrong.text.replace("ann", "nobody") == unknown.text
    assert "code" in world.back(await browser.submit(await browser.sign_in(wrong), allow="yes"))
