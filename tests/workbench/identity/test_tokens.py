"""The token endpoint, through the ingress: what a code and a refresh token are good for, and for how long."""

import pytest

from tests.workbench.identity.person import Person, answer_of, error_of

OTHER_VERIFIER = "v" * 43


async def test_the_wrong_verifier_gets_nothing_and_uses_the_code_up(person: Person) -> None:
    code = await person.code()
    assert error_of(await person.exchange_code(code, code_verifier=OTHER_VERIFIER)) == (400, "invalid_grant")
    assert error_of(await person.exchange_code(code)) == (400, "invalid_grant")


async def test_a_code_works_once_and_a_second_use_ends_the_sign_in(person: Person) -> None:
    code = await person.code()
    tokens = (await person.exchange_code(code)).json()
    assert error_of(await person.exchange_code(code)) == (400, "invalid_grant")
    assert error_of(await person.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"redirect_uri": "{url}/static/oauth2-redirect.html"}, 400, "invalid_grant"),
        ({"redirect_uri": None}, 400, "invalid_request"),
        ({"code": "guessed"}, 400, "invalid_grant"),
        ({"code": None}, 400, "invalid_request"),
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"code_verifier": "short"}, 400, "invalid_request"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_secret": "guessed"}, 401, "invalid_client"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
    ],
    ids=str,
)
async def test_what_is_wrong_with_an_exchange(
    person: Person, changes: dict[str, str | None], status: int, error: str
) -> None:
    filled = {name: value and value.format(url=person.url) for name, value in changes.items()}
    assert error_of(await person.exchange_code(await person.code(), **filled)) == (status, error)


async def test_only_a_form_is_read(person: Person) -> None:
    fields = {"grant_type": "authorization_code", "code": await person.code()}
    assert error_of(await person.browser.post("/auth/token", json=fields)) == (401, "invalid_client")
    assert error_of(await person.browser.post("/auth/token", params=fields)) == (401, "invalid_client")
    assert (await person.browser.get("/auth/token", params=fields)).status_code == 405
    twice = "client_id=a&client_id=b"
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await person.browser.post("/auth/token", content=twice, headers=form)
    assert error_of(answer) == (400, "invalid_request")


async def test_a_refresh_token_works_once_and_a_second_use_ends_the_sign_in(person: Person) -> None:
    first = await person.sign_in("grace")
    second = (await person.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert await person.may_use(second["access_token"]) == 200
    assert (await person.claims(second["access_token"]))["groups"] == ["admin"]
    third = (await person.refresh(second["refresh_token"])).json()

    assert error_of(await person.refresh(second["refresh_token"])) == (400, "invalid_grant")
    assert error_of(await person.refresh(third["refresh_token"])) == (400, "invalid_grant")
    assert await person.may_use(third["access_token"]) == 200  # until it expires


async def test_a_refresh_token_gives_no_more_than_was_granted(person: Person) -> None:
    token = (await person.sign_in("grace", scope="openid email offline_access"))["refresh_token"]
    assert error_of(await person.refresh(token, scope="openid groups")) == (400, "invalid_scope")
    less = (await person.refresh(token, scope="openid")).json()
    assert "email" not in await person.claims(less["access_token"])
    as_before = (await person.refresh(less["refresh_token"])).json()
    assert "email" in await person.claims(as_before["access_token"])


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"refresh_token": None}, 400, "invalid_request"),
        ({"refresh_token": "guessed"}, 400, "invalid_grant"),
        ({"client_id": "other"}, 401, "invalid_client"),
    ],
)
async def test_what_is_wrong_with_a_refresh(
    person: Person, changes: dict[str, str | None], status: int, error: str
) -> None:
    token = (await person.sign_in())["refresh_token"]
    assert error_of(await person.refresh(token, **changes)) == (status, error)
    assert (await person.refresh(token)).status_code == 200


async def test_signing_out_ends_one_sign_in(person: Person) -> None:
    tokens, other = await person.sign_in(), await person.sign_in()
    back = f"{person.url}/"
    leave = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": back, "state": "bye"}
    answer = await person.browser.get("/auth/logout", params=leave)
    assert (answer.status_code, answer.headers["location"], answer_of(answer)) == (
        303,
        f"{back}?state=bye",
        {"state": "bye"},
    )
    assert error_of(await person.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert (await person.refresh(other["refresh_token"])).status_code == 200


@pytest.mark.parametrize("hint", ["", "guessed", "{other}"])
async def test_signing_out_needs_the_token_and_sends_nobody_elsewhere(person: Person, hint: str) -> None:
    tokens = await person.sign_in()
    header, _, signature = (await person.sign_in())["id_token"].split(".")
    forged = f"{header}.{tokens['id_token'].split('.')[1]}.{signature}"
    leave = {"id_token_hint": hint.format(other=forged), "post_logout_redirect_uri": "https://evil.example/"}
    answer = await person.browser.post("/auth/logout", data=leave)
    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert (await person.refresh(tokens["refresh_token"])).status_code == 200
