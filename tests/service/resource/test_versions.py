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


async def test_a_change_of_a_missing_thing_is_not_found(shared_service: Service) -> None:
    path = f"/things/{uuid4()}"

    problem_of(await shared_service.api.put(path, json={"name": "Changed"}), 404)
    problem_of(await shared_service.api.put(path, json={"name": "Changed"}, headers={"if-match": '"1"'}), 404)
    problem_of(await shared_service.api.delete(path), 404)
