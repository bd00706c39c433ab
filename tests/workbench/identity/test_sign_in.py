"""Signing in as a person does it, through the ingress: the form, its answers, and requests that never get one."""

import time
from urllib.parse import urlencode

import pytest

from tests.workbench.identity.person import NONCE, STATE, Person, answer_of
from workbench.project import NAME

HOUR = 3600


async def test_from_the_form_to_a_token_that_the_gateway_accepts(person: Person) -> None:
    assert await person.may_use("nothing") == 401
    page = await person.ask()
    assert page.status_code == 200
    answer = await person.submit(page, "ada", person.password("ada"))
    assert answer.headers["location"].startswith(f"{person.url}/?")
    assert answer_of(answer).keys() == {"code", "state"}
    assert answer_of(answer)["state"] == STATE

    tokens = (await person.exchange_code(answer_of(answer)["code"])).json()

    assert tokens["token_type"] == "Bearer"  # noqa: S105 - a kind of token
    assert tokens["expires_in"] == HOUR
    assert await person.may_use(tokens["access_token"]) == 200
    claims = await person.claims(tokens["access_token"])
    assert (claims["iss"], claims["aud"], claims["sub"]) == (f"{person.url}/auth", [NAME], "ada")
    assert (claims["email"], claims["name"]) == ("ada@example.com", "ada")
    assert abs(claims["iat"] - time.time()) < HOUR
    assert claims["exp"] - claims["iat"] == HOUR
    assert "groups" not in claims
    of_sign_in = await person.claims(tokens["id_token"])
    assert (of_sign_in["nonce"], of_sign_in["sub"], of_sign_in["aud"]) == (NONCE, "ada", [NAME])


async def test_the_claims_follow_the_user_and_the_scopes(person: Person) -> None:
    everything = await person.sign_in("grace")
    assert (await person.claims(everything["access_token"]))["groups"] == ["admin"]
    little = await person.sign_in("grace", scope="openid")
    claims = await person.claims(little["access_token"])
    assert claims.keys() == {"iss", "sub", "aud", "iat", "exp"}
    assert (little["scope"], "refresh_token" in little, "refresh_token" in everything) == ("openid", False, True)


@pytest.mark.parametrize("name", ["ada@example.com", "ADA"])
async def test_the_name_can_be_the_address_and_in_any_case(person: Person, name: str) -> None:
    assert (await person.submit(await person.ask(), name, person.password("ada"))).status_code == 303


async def test_discovery_names_what_answers(person: Person) -> None:
    found = (await person.browser.get("/auth/.well-known/openid-configuration")).json()
    assert found["issuer"] == f"{person.url}/auth"
    assert (await person.browser.get(found["jwks_uri"])).json()["keys"][0]["alg"] == "RS256"
    assert "d" not in (await person.browser.get(found["jwks_uri"])).json()["keys"][0]
    asked = await person.browser.get(found["authorization_endpoint"], params=person.request())
    assert asked.status_code == 200
    assert (await person.browser.post(found["token_endpoint"])).status_code == 401
    assert (await person.browser.get(found["end_session_endpoint"])).status_code == 200


@pytest.mark.parametrize(
    ("name", "of"), [("ada", None), ("ada", "grace"), ("grace", "ada"), ("eve", "ada"), ("", "ada")]
)
async def test_a_wrong_password_asks_again(person: Person, name: str, of: str | None) -> None:
    page = await person.ask()
    again = await person.submit(page, name, person.password(of) if of else "")
    assert (again.status_code, "location" in again.headers) == (401, False)
    assert 'role="alert"' in again.text
    assert (await person.submit(again, "ada", person.password("ada"))).status_code == 303


async def test_what_was_typed_is_text_on_the_page(person: Person) -> None:
    again = await person.submit(await person.ask(), '"><script>alert(1)</script>', "wrong")
    assert "<script" not in again.text
    assert "&lt;script&gt;" in again.text


async def test_the_form_of_another_site_is_refused(person: Person, stack: object) -> None:
    page = await person.ask()
    other = await person.submit(page, "ada", person.password("ada"), csrf="guessed")
    assert (other.status_code, "location" in other.headers) == (403, False)
    cookie = page.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/auth"} <= {*cookie.split("; ")}
    person.browser.cookies.clear()  # which a browser does not send with the form of another site
    assert (await person.submit(page, "ada", person.password("ada"))).status_code == 403


async def test_pages_load_nothing_of_others_and_are_in_no_frame(person: Person) -> None:
    for page in (await person.ask(), await person.ask(client_id="other"), await person.browser.get("/auth/logout")):
        policy = page.headers["content-security-policy"]
        for directive in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert directive in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "<script" not in page.text
        assert "style=" not in page.text


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "other"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "{url}"},
        {"redirect_uri": "{url}/?next=//evil.example"},
        {"redirect_uri": "{url}/#"},
        {"redirect_uri": "{url}//"},
        {"redirect_uri": "{url}@evil.example/"},
        {"redirect_uri": "http://localhost:8080/"},  # of the cluster
    ],
    ids=str,
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(
    person: Person, changes: dict[str, str | None]
) -> None:
    filled = {name: value and value.format(url=person.url) for name, value in changes.items()}
    for response in (
        await person.ask(**filled),
        await person.browser.post("/auth/auth", params=person.request(**filled)),
    ):
        assert response.status_code in (400, 401)
        assert "location" not in response.headers
        assert "This sign-in cannot begin" in response.text


async def test_a_field_that_comes_twice_is_refused(person: Person) -> None:
    twice = [*person.request().items(), ("redirect_uri", "https://evil.example/")]
    response = await person.browser.get("/auth/auth", params=urlencode(twice))
    assert (response.status_code, "location" in response.headers) == (400, False)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "email"}, "invalid_scope"),
        ({"scope": "openid root"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"request": "e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
    ],
    ids=str,
)
async def test_the_page_is_told_what_is_wrong_with_its_request(
    person: Person, changes: dict[str, str | None], error: str
) -> None:
    response = await person.ask(**changes)
    assert response.status_code == 303
    assert response.headers["location"].startswith(f"{person.url}/?")
    answer = answer_of(response)
    assert (answer["error"], answer["state"]) == (error, STATE)
    assert "code" not in answer
