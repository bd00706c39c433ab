"""Conditional reads and changes: one change of a version succeeds."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from tests.service.problems import problem_of
from tests.service.serving import Service


async def test_one_of_several_changes_of_a_version_succeeds(shared_service: Service) -> None:
    path = await shared_service.create()

    answers = await asyncio.gather(
        *(
            shared_service.api.put(path, json={"name": f"{number}"}, headers={"if-match": '"1"'})
            for number in range(20)
        )
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}
    [winner] = [answer for answer in answers if answer.status_code == 200]
    assert (await shared_service.api.get(path)).json() == winner.json()
    assert winner.headers["etag"] == '"2"'


async def test_one_of_several_deletions_of_a_version_succeeds(shared_service: Service) -> None:
    path = await shared_service.create()

    answers = await asyncio.gather(*(shared_service.api.delete(path, headers={"if-match": '"1"'}) for _ in range(20)))

    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: 19}


async def test_one_of_several_changes_and_deletions_of_a_version_succeeds(shared_service: Service) -> None:
    path = await shared_service.create()
    condition = {"if-match": '"1"'}

    answers = await asyncio.gather(
        *(shared_service.api.put(path, json={"name": "Changed"}, headers=condition) for _ in range(10)),
        *(shared_service.api.delete(path, headers=condition) for _ in range(10)),
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] + statuses[204] == 1
    assert statuses[404] + statuses[412] == 19


async def test_all_changes_without_a_condition_succeed(shared_service: Service) -> None:
    path = await shared_service.create()

    await asyncio.gather(*(shared_service.api.put(path, json={"name": "Changed"}) for _ in range(20)))

    assert (await shared_service.api.get(path)).json()["version"] == 21


@pytest.mark.parametrize("condition", ['"2"', 'W/"1"', '"one"', '"1.0"', '"01"', f'"{10**30}"'])
async def test_a_condition_that_is_not_met_prevents_the_change(shared_service: Service, condition: str) -> None:
    path = await shared_service.create()

    problem_of(await shared_service.api.put(path, json={"name": "Changed"}, headers={"if-match": condition}), 412)
    problem_of(await shared_service.api.delete(path, headers={"if-match": condition}), 412)

    assert (await shared_service.api.get(path)).json()["version"] == 1


_PAST, _FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"
_MET, _UNCHANGED, _FAILED = (200, 200, 204), (304, 412, 412), (412, 412, 412)


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "statuses"),  # of GET, PUT and DELETE
    [
        (None, None, _MET),
        ('"2"', None, _MET),
        ('"1", "2"', None, _MET),
        ("*", None, _MET),
        ('"1"', None, _FAILED),
        ('W/"2"', None, _FAILED),  # a strong comparison
        (None, '"1"', _MET),
        (None, '"one"', _MET),
        (None, '"2"', _UNCHANGED),
        (None, '"1", "2"', _UNCHANGED),
        (None, 'W/"2"', _UNCHANGED),  # a weak comparison
        (None, "*", _UNCHANGED),
        ('"2"', '"1", "3"', _MET),
        ('"2"', '"2"', _UNCHANGED),
        ("*", "*", _UNCHANGED),
        ('"1"', '"2"', _FAILED),  # If-Match is evaluated first
    ],
)
@pytest.mark.parametrize("modified", [{}, {"if-unmodified-since": _PAST, "if-modified-since": _FUTURE}])
async def test_each_condition_of_a_thing(
    shared_service: Service,
    if_match: str | None,
    if_none_match: str | None,
    statuses: tuple[int, int, int],
    modified: dict[str, str],
) -> None:
    """RFC 9110, 13.2.2. Conditions on times are ignored, because things have no Last-Modified (13.1.3, 13.1.4)."""
    api, path = shared_service.api, await shared_service.create()
    await api.put(path, json={"name": "Changed"})
    given = {"if-match": if_match, "if-none-match": if_none_match}
    headers = {name: value for name, value in given.items() if value is not None} | modified

    assert (await api.head(path, headers=headers)).status_code == statuses[0]
    answers = [
        await api.get(path, headers=headers),
        await api.put(path, json={"name": "Again"}, headers=headers),
    ]
    if statuses == _MET:
        await api.delete(path)
        path = await shared_service.create()
        await api.put(path, json={"name": "Changed"})
    answers.append(await api.delete(path, headers=headers))

    assert tuple(answer.status_code for answer in answers) == statuses
    for answer in answers:
        if answer.status_code == 412:
            problem_of(answer, 412)
    missing = f"/things/{uuid4()}"
    assert (await api.get(missing, headers=headers)).status_code == 404
    assert (await api.put(missing, json={"name": "Again"}, headers=headers)).status_code == 404
    assert (await api.delete(missing, headers=headers)).status_code == 404


@pytest.mark.parametrize(
    ("headers", "read", "created"),
    [
        ({"if-match": "*"}, 200, 201),
        ({"if-match": '"1"'}, 412, 412),
        ({"if-none-match": '"1"'}, 200, 201),
        ({"if-none-match": "*"}, 304, 412),
        ({"if-match": '"1"', "if-none-match": "*"}, 412, 412),
        ({"if-unmodified-since": _PAST, "if-modified-since": _FUTURE}, 200, 201),
    ],
)
async def test_each_condition_of_a_list(
    shared_service: Service, headers: dict[str, str], read: int, created: int
) -> None:
    """A list exists, and has no ETag."""
    api = shared_service.api

    assert (await api.get("/things", headers=headers)).status_code == read
    assert (await api.head("/things", headers=headers)).status_code == read
    before = (await api.get("/things?limit=1")).json()["items"]
    answer = await api.post("/things", json={"name": "New"}, headers=headers)
    assert answer.status_code == created
    assert ((await api.get("/things?limit=1")).json()["items"] == before) is (created != 201)
    problem_of(await api.post("/things", json={"name": ""}, headers=headers), 422)


async def test_a_change_of_a_missing_thing_is_not_found(shared_service: Service) -> None:
    path = f"/things/{uuid4()}"

    problem_of(await shared_service.api.put(path, json={"name": "Changed"}), 404)
    problem_of(await shared_service.api.put(path, json={"name": "Changed"}, headers={"if-match": '"1"'}), 404)
    problem_of(await shared_service.api.delete(path), 404)
