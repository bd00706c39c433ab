"""The line of a reload says what it has changed: what routes cost, and the API."""

import asyncio
import json
import re

import asyncpg
import pytest

from service.rehearsal.cost import Change, Cost, counting, measured
from service.tracing.hooks import OFF
from tests.probe.project import COUNT, MODULE
from tests.workbench.reload.live import Live
from tests.workbench.reload.test_live import asked
from tests.workbench.things import ANY
from workbench.reload.receipt import NOTHING, Receipt
from workbench.stack import Stack

LIST = '        return paging.answer("/things", query, rows)\n'
EACH = f"""\
        async with database.connection() as connection:
            for row in rows:
                await connection.fetchrow(GET, row["id"])
{LIST}"""

FIELD = "    version: Version\n"

QUIET = r"answers after \d+ ms, \d+ requests answered meanwhile$"


@pytest.fixture
async def path(live: Live) -> str:
    """A page of several things."""
    for number in range(7):
        answer = await live._client(live.url).post("/things", json={"name": f"receipt {number}"})
        assert answer.status_code == 201
    return "/things?limit=7"


async def told(live: Live, path: str, old: str, new: str, pattern: str) -> str:
    """The line of the reload from `old` to `new` that says it.

    While the machine is so busy that nothing could be measured in time, nothing is said: a later save has to say it.
    """
    for _ in range(20):
        await live.get(path)
        live.forget()
        live.sources.edit(MODULE, old, new)
        line = await live.says("answers after")
        if re.search(pattern, line):
            return line
        live.forget()
        live.sources.edit(MODULE, new, old)
        await live.says("answers after")
    pytest.fail(f"20 times, nothing was said of {pattern!r}")


async def test_a_statement_for_each_row_is_named_with_its_counts(live: Live, path: str) -> None:
    counts = r"GET /things: 1 -> (8|9) statements \((7|8) times thing_get\)(, \d+ -> \d+ ms)?"
    line = await told(live, path, LIST, EACH, f"; {counts}$")
    receipt = line.partition(" requests answered meanwhile; ")[2]
    assert (await live.get("/")).json()["receipt"] == receipt

    live.forget()
    live.sources.append(MODULE, "\n# the same once more\n")
    assert re.search(QUIET, await live.says("answers after"))
    assert "receipt" not in (await live.get("/")).json()

    await told(live, path, EACH, LIST, r"; GET /things: (8|9) -> 1 statements")


async def test_data_that_has_changed_is_no_change_of_the_code(
    live: Live, path: str, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """The code that served before answers the same request in the same way now."""
    live.sources.edit(MODULE, LIST, EACH)
    await live.reloads()
    live.forget()
    await live.get(path)
    await database.execute("TRUNCATE things")
    live.sources.append(MODULE, "\n# reads fewer rows\n")
    assert re.search(QUIET, await live.says("answers after"))


async def test_time_that_is_lost_is_said(live: Live, path: str) -> None:
    sleeping = f"        await __import__('asyncio').sleep(0.4)\n{LIST}"
    await told(live, path, LIST, sleeping, r"; GET /things: \d+ -> \d{3,} ms$")


async def test_changes_of_the_api_are_named_with_what_breaks_clients(
    live: Live, live_stack: tuple[Stack, Live]
) -> None:
    live.sources.edit(MODULE, *COUNT)
    assert (await live.says("answers after")).endswith("meanwhile; API: GET /things/count added")

    live.forget()
    live.sources.edit(MODULE, FIELD, "")
    line = await live.says("answers after")
    assert re.search(
        r"; API: \w+ /things\S*: answer field \S*version removed \(breaks clients\), .*, and \d+ more$", line
    )
    status, output = await asked(live.sources, live_stack[0].options.data, "--json")
    answer = json.loads(output)
    assert (status, answer["costs"]) == (0, [])
    assert "GET /things: answer field items[].version removed (breaks clients)" in answer["api"]
    assert len(answer["api"]) == 3 + int(line.split()[-2])
    assert line.rpartition("meanwhile; ")[2] in (await asked(live.sources, live_stack[0].options.data))[1]


async def test_the_next_reload_tells_what_a_refused_save_has_changed(live: Live) -> None:
    await live.get(ANY)
    live.sources.edit(MODULE, *COUNT)
    live.sources.append(MODULE, "\nundefined_name\n")
    await live.says("the new code does not serve")
    live.forget()
    live.sources.edit(MODULE, "\nundefined_name\n", "")
    assert "; API: GET /things/count added" in await live.says("answers after")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 2}, "1 -> 2 statements"),
        ({"a": 2}, {"a": 3}, ""),
        ({}, {"a": 1}, "0 -> 1 statements"),
        ({"a": 8}, {"a": 12}, ""),
        ({"a": 8}, {"a": 8, "b": 5}, "8 -> 13 statements (5 times b)"),
        ({"a": 1, "b": 20}, {"c": 1}, "21 -> 1 statements"),
    ],
)
def test_a_change_of_statements(old: dict[str, int], new: dict[str, int], said: str) -> None:
    change = Change(Cost(old, 3.0), Cost(new, 4.0))
    assert (str(change), change.is_large) == (said, said != "")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (3.0, 8.1, "3 -> 8 ms"),
        (3.0, 7.9, ""),
        (20.0, 39.0, ""),
        (20.0, 41.0, "20 -> 41 ms"),
        (30.0, 2.0, "30 -> 2 ms"),
    ],
)
def test_a_change_of_time(old: float, new: float, said: str) -> None:
    assert str(Change(Cost({}, old), Cost({}, new))) == said


def test_times_that_overlap_say_nothing() -> None:
    change = Change(Cost({"a": 1}, 50.0), Cost({"a": 4}, 0.1))
    for old, new, said in ((3, 90, "3 -> 90 ms"), (9, 30, "3 -> 30 ms"), (14, 40, "3 -> 30 ms"), (15, 80, "")):
        change.measure(Cost({"a": 1}, old), Cost({"a": 1}, new))
        assert (str(change), change.is_large) == (said, said != "")


def test_what_takes_long_only_because_the_machine_is_busy_says_nothing() -> None:
    assert str(Change(Cost({}, 3.0), Cost({}, 60.0, waited=10.0))) == "3 -> 60 ms"
    assert str(Change(Cost({}, 3.0), Cost({}, 60.0, waited=20.0))) == ""


async def test_a_meter_counts_what_the_block_and_its_tasks_do() -> None:
    tracing = counting(OFF)

    async def work() -> None:
        tracing.start_statement("in_a_task", "SELECT 1")

    tracing.start_statement("before", "SELECT 1")
    with measured() as meter:
        tracing.start_statement("here", "SELECT 1")
        await asyncio.create_task(work())
        cost = meter.cost
        tracing.start_statement("later", "SELECT 1")
    tracing.start_statement("after", "SELECT 1")
    assert cost.statements == {"here": 1, "in_a_task": 1}
    assert meter.cost.statements == {"here": 1, "in_a_task": 1, "later": 1}
    assert 0 <= cost.waited <= cost.milliseconds


def test_a_long_receipt_is_cut() -> None:
    assert str(NOTHING) == ""
    assert str(Receipt(["a"], ["b", "c"])) == "a; API: b, c"
    assert str(Receipt([*"abcd"], [*"efghi"])) == "a; b; c; and 1 more; API: e, f, g, and 2 more"
