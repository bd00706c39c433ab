"""Debugging as an editor does it: with two replicas, of which the first one is debugged."""

import asyncio
import signal
from ast import literal_eval
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from harness.sandbox import Sandbox
from tests.probe.project import MODULE, probe_sandbox
from tests.probe.stack import make_table
from tests.waiting import WITHIN
from tests.workbench.reload.dap import Breakpoints, Editor, Stop, attached
from tests.workbench.reload.live import SAYS_ITS_PID, Live, live_workbench, serving, supervised
from tests.workbench.things import ANY
from workbench.machine import ports
from workbench.stack import Stack

LINE = 'paging.answer("/things", query, rows)'
"""A line of the route of ANY."""


@pytest.fixture(scope="module")
async def workbench(
    new_data: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stack, Live]]:
    sources = probe_sandbox(tmp_path_factory.mktemp("debugged") / "sources")
    sources.edit(*SAYS_ITS_PID)
    sources.keep()
    async with live_workbench(sources, new_data(), replicas=2, debug=True) as (stack, live):
        await make_table(stack.postgres)
        live.url = f"http://127.0.0.1:{live.api_port}"  # not the ingress, which also leads to the other replica
        yield stack, live


@pytest.fixture
async def live(workbench: tuple[Stack, Live]) -> AsyncIterator[Live]:
    """The replica that is debugged."""
    _, live = workbench
    live.forget()
    yield live
    live.forget()
    if live.sources.restore():
        await reloaded(live)


@asynccontextmanager
async def debugging(workbench: tuple[Stack, Live]) -> AsyncIterator[Editor]:
    """An editor that is attached to the serving process and has a breakpoint in the route of ANY."""
    stack, live = workbench
    pid = await serving(live)
    assert stack.debug_port
    async with attached(stack.debug_port, at_line(live.sources)) as editor:
        await editor.attached_to(pid)
        yield editor


@pytest.fixture
async def editor(workbench: tuple[Stack, Live], live: Live) -> AsyncIterator[Editor]:
    async with debugging(workbench) as editor:
        yield editor


def at_line(sources: Sandbox, text: str = LINE) -> Breakpoints:
    """A breakpoint at the first line with a text."""
    lines = sources.read(MODULE).splitlines()
    return {sources.root / MODULE: [next(number for number, line in enumerate(lines, 1) if text in line)]}


def place(stop: Stop) -> Breakpoints:
    path, line = stop.place
    return {path: [line]}


async def reloaded(live: Live) -> None:
    for replica in ("service-1", "service-2"):
        await live.says(rf"{replica} │ .*version {live.sources.version} answers after")


async def test_a_breakpoint_is_hit_before_and_after_an_edit(live: Live, editor: Editor) -> None:
    for edit in range(2):
        asking = asyncio.create_task(live.get(ANY))
        stop = await editor.until_stopped()
        assert place(stop) == at_line(live.sources)
        assert await stop.evaluate("rows") == "[]"
        await stop.go_on()
        answer = await asking
        assert (answer.status_code, answer.headers["x-service-version"]) == (200, live.sources.version)
        if edit == 0:
            live.sources.write(MODULE, f"# This moves the line.\n{live.sources.read(MODULE)}")
            editor.breakpoints = at_line(live.sources)
            await reloaded(live)


async def test_an_edit_while_a_request_is_stopped(live: Live, editor: Editor) -> None:
    before = live.sources.version
    asking = asyncio.create_task(live.get(ANY))
    stop = await editor.until_stopped()

    live.sources.append(MODULE, "\n# while it is stopped\n")
    await reloaded(live)
    await editor.set({path: [] for path in editor.breakpoints})
    async with httpx.AsyncClient(base_url=live.url, timeout=WITHIN) as client:
        assert (await client.get(ANY)).headers["x-service-version"] == live.sources.version
    assert not asking.done()

    await stop.go_on()
    assert (await asking).headers["x-service-version"] == before
    async with asyncio.timeout(WITHIN):
        await stop.session.ended.wait()


async def test_the_other_replica_answers_while_a_request_is_stopped(
    workbench: tuple[Stack, Live], live: Live, editor: Editor
) -> None:
    asking = asyncio.create_task(live.get(ANY))
    stop = await editor.until_stopped()
    async with httpx.AsyncClient(base_url=workbench[0].ingress_url, timeout=WITHIN) as client:
        requests = [asyncio.create_task(client.get("/")) for _ in range(8)]
        answered, _ = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        assert {request.result().headers["x-service-instance"] for request in answered} == {"service-2"}
        await stop.go_on()
        answers = await asyncio.gather(*requests, asking)
    assert not [answer for answer in answers if answer.is_server_error]


async def test_limits_are_lifted(live: Live, editor: Editor) -> None:
    asking = asyncio.create_task(live.get(ANY))
    stop = await editor.until_stopped()
    assert await stop.evaluate("self._timeout", "service/web/dispatch.py") == "3600.0"
    url = literal_eval(await stop.evaluate("database._settings.database_url"))
    await stop.go_on()
    await asking
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "0"
    await connection.close()


async def test_a_request_goes_on_when_the_editor_leaves(workbench: tuple[Stack, Live], live: Live) -> None:
    async with debugging(workbench) as editor:
        asking = asyncio.create_task(live.get(ANY))
        await editor.until_stopped()
    assert (await asking).status_code == 200
    assert (await live.get(ANY)).status_code == 200


async def test_breakpoint_in_the_code(live: Live, workbench: tuple[Stack, Live]) -> None:
    live.sources.edit(
        MODULE, "        return Answer(200, (page", "        breakpoint()\n        return Answer(200, (page"
    )
    [[line]] = at_line(live.sources, "breakpoint()").values()
    await reloaded(live)
    assert (await live.get(ANY)).status_code == 200
    await live.says(rf"service-1 │ {MODULE}:{line}: breakpoint\(\) is passed over, because no debugger is attached")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{workbench[0].replicas[1].api_port}") as client:
        assert (await client.get(ANY)).status_code == 200
    await live.says(
        rf"service-2 │ {MODULE}:{line}: breakpoint\(\) does nothing here: start with `make dev DEBUG=yes`"
    )

    async with debugging(workbench) as editor:
        await editor.set({path: [] for path in editor.breakpoints})
        asking = asyncio.create_task(live.get(ANY))
        stop = await editor.until_stopped()
        assert place(stop) == {live.sources.root / MODULE: [line + 1]}  # the next line to run, as in pdb
        await stop.go_on()
        assert (await asking).status_code == 200


async def test_a_process_that_is_stopped_does_not_delay_the_end(
    workbench: tuple[Stack, Live], sources: Sandbox
) -> None:
    [port] = ports.free(1)
    sources.edit(*SAYS_ITS_PID)
    async with supervised(workbench[0].postgres, sources, RELOAD_DEBUG_PORT=str(port)) as live:
        await live.says("serves$")
        pid = await serving(live)
        async with attached(port, at_line(sources)) as editor:
            await editor.attached_to(pid)
            asking = asyncio.create_task(live.get(ANY))
            await editor.until_stopped()
            live.part.send(signal.SIGTERM)
            assert await live.part.wait(WITHIN) == 0
            assert (await asking).status_code == 200
