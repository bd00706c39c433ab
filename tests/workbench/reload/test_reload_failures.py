"""Code that cannot serve: the old version keeps serving, the reason is reported once, the next save is tried."""

import re

import pytest

from harness.sandbox import Sandbox
from tests.probe.project import MODULE
from tests.workbench.reload.live import CRASH, Live, supervised
from tests.workbench.things import ANY
from workbench.parts.postgres import Postgres
from workbench.reload.new_process import MAX_FRAMES

ENV = ".env"


async def is_refused(live: Live, reason: str) -> None:
    """Waits until the new code is refused for a reason, and the old version keeps serving."""
    good = (await live.get(ANY)).headers["x-service-version"]
    line = await live.says("the new code does not serve: ")
    assert re.search(
        rf"the new code does not serve: {reason}; version {good} keeps serving, older than the files", line
    )
    assert (await live.get(ANY)).headers["x-service-version"] == good != live.sources.version
    assert await live.metric("reload_code_stale") == 1


async def recovers(live: Live) -> None:
    """Good code is served as soon as it is saved."""
    live.forget()
    live.sources.append(MODULE, "\n# good again\n")
    await live.reloads()
    assert await live.metric("reload_code_stale") == 0


async def test_a_syntax_error(live: Live) -> None:
    failed = await live.metric('reloads_total{result="failed"}')
    good = live.sources.read(MODULE)
    live.sources.append(MODULE, "\n\ndef broken(:\n    pass\n")
    line = good.count("\n") + 3
    await is_refused(live, rf"{MODULE}:{line}: SyntaxError: invalid syntax")
    # Reported once: the place first, then the line of code.
    [first] = live.said(r"│ \S+:\d+: SyntaxError")
    at = live.output.lines.index(first)
    assert re.search(r"│ +def broken\(:$", live.output.lines[at + 1])
    assert await live.metric('reloads_total{result="failed"}') == failed + 1

    live.sources.write(MODULE, good)  # this version serves, so nothing is started
    await live.says(f"the files match the serving version {live.sources.version} again")
    assert await live.metric("reload_code_stale") == 0
    await recovers(live)


async def test_an_import_of_a_name_that_does_not_exist(live: Live) -> None:
    live.sources.append(MODULE, "\nfrom service.errors import Nonexistent\n")
    await is_refused(live, rf"{MODULE}:\d+: ImportError: cannot import name 'Nonexistent' from 'service.errors' .*")
    [line] = live.said(r"│ \S+:\d+: ImportError")
    at = live.output.lines.index(line)
    assert "from service.errors import Nonexistent" in live.output.lines[at + 1]
    assert len(live.said("Traceback")) == 0


async def test_an_error_that_has_several_lines(live: Live) -> None:
    live.sources.append(MODULE, "\nraise ValueError('first\\nsecond')\n")
    await is_refused(live, rf"{MODULE}:\d+: ValueError: first")


async def test_a_warning_before_the_error_is_not_reported_as_the_error(live: Live) -> None:
    live.sources.append(MODULE, "\nimport sys\nsys.stderr.write('be warned\\n')\n1 / 0\n")
    await is_refused(live, rf"{MODULE}:\d+: ZeroDivisionError: division by zero")


async def test_a_line_that_is_longer_than_the_supervisor_reads_at_once(live: Live) -> None:
    live.sources.append(MODULE, "\nimport sys\nsys.stderr.write('x' * 3_000_000 + '\\nafter it\\n')\n")
    await live.reloads()
    await live.says("│ after it$")
    assert not live.said("unexpected error")


async def test_an_error_from_far_away(live: Live) -> None:
    live.sources.append(MODULE, "\ndef again():\n    again()\n\n\nagain()\n")
    await is_refused(live, rf"{MODULE}:\d+: RecursionError: maximum recursion depth exceeded")
    assert len(live.said(r"│     again\(\)")) == MAX_FRAMES


async def test_the_same_code_saved_again_is_tried_again(live: Live) -> None:
    live.sources.append(MODULE, "\nraise ValueError\n")
    await is_refused(live, rf"{MODULE}:\d+: ValueError")
    live.forget()
    live.sources.append(MODULE, "")
    await is_refused(live, rf"{MODULE}:\d+: ValueError")


async def test_an_end_without_an_error_message(live: Live) -> None:
    live.sources.append("service/app.py", "\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    await is_refused(live, "it ended without an error message, killed by SIGKILL")


async def test_wrong_settings(live: Live) -> None:
    live.sources.write(ENV, "SERVICE_POOL_SIZE=lots\n")
    live_version = (await live.get(ANY)).headers["x-service-version"]
    line = await live.says("the new code does not serve: ")
    assert "service: SERVICE_POOL_SIZE: Input should be a valid integer" in line
    live.forget()
    live.sources.write(ENV, "POOL_SIZE=5\n")
    assert ".env, line 1: expected SERVICE_NAME=value" in await live.says("the new code does not serve: ")
    assert (await live.get(ANY)).headers["x-service-version"] == live_version
    live.sources.write(ENV, "SERVICE_POOL_SIZE=5\n")
    await live.says("answers after")
    assert await live.metric("db_pool_limit") == 5


async def test_not_ready_in_time(postgres: Postgres, sources: Sandbox) -> None:
    never = "checks = await asyncio.Event().wait()"
    async with supervised(postgres, sources, RELOAD_READY_WITHIN="5") as live:
        await live.says("serves$")
        sources.edit("service/database/readiness.py", "checks = await self._check()", never)
        await is_refused(live, "not ready within 5 s: starting")


async def recovers_by_restoring(live: Live) -> None:
    live.sources.restore()
    await live.says("the files match the serving version")
    await recovers(live)


async def test_a_crash_right_after_the_start(live: Live) -> None:
    good = (await live.get(ANY)).headers["x-service-version"]
    crashes = await live.metric("reload_crashes_total")
    live.sources.edit(*CRASH)
    bad = live.sources.version
    line = await live.says("serves again")
    assert f"version {bad} ended right after its start (it ended without an error message, exit status 1)" in line
    assert f"version {good} serves again, older than the files" in line
    assert (await live.get(ANY)).headers["x-service-version"] == good
    assert await live.metric("reload_crashes_total") == crashes + 1
    assert await live.metric("reload_code_stale") == 1
    live.sources.restore()
    await live.says("the files match the serving version")
    await recovers(live)


async def test_a_missing_file(live: Live) -> None:
    content = live.sources.read("service/lifecycle.py")
    (live.sources.root / "service/lifecycle.py").unlink()
    await is_refused(live, r"service/[\w/]+\.py:\d+: (ImportError|ModuleNotFoundError): .*lifecycle.*")
    live.sources.write("service/lifecycle.py", content)
    await live.says("the files match the serving version")
    assert await live.metric("reload_code_stale") == 0


@pytest.mark.parametrize("error", ["1 / 0", "def broken(:"])
async def test_the_very_first_start_is_broken(postgres: Postgres, sources: Sandbox, error: str) -> None:
    good = sources.read(MODULE)
    sources.append(MODULE, f"\n{error}\n")
    async with supervised(postgres, sources) as live:
        await live.says("nothing serves; next start with the next save")
        answer = await live.get(ANY)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"]
        problem = answer.json()
        assert (problem["status"], problem["title"]) == (503, "Service Unavailable")
        assert re.match(rf"The code does not serve: {MODULE}:\d+: \w+Error: ", problem["detail"])
        assert any(error in line for line in problem["traceback"])
        assert (await live.ops("/livez")).status_code == 200
        ready = await live.ops("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"]["code"]["detail"] == problem["detail"]
        assert await live.metric("reload_code_stale") == 1

        sources.write(MODULE, good)
        await live.says(f"version {sources.version} serves")
        assert (await live.get(ANY)).status_code == 200
        assert (await live.ops("/readyz")).status_code == 200
