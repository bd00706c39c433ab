"""Processes that end by themselves, by a signal or with their template; and where the supervisor runs."""

import asyncio
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from harness.sandbox import Sandbox
from tests.probe.project import MODULE
from tests.waiting import WITHIN, eventually
from tests.workbench.processtree import descendants, gone, oldest_first, zombies
from tests.workbench.reload.live import CRASH, SAYS_ITS_PID, Live, serving, slow_route, supervised
from tests.workbench.things import ANY
from workbench.parts.postgres import Postgres

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@pytest.fixture
async def own(postgres: Postgres, sources: Sandbox) -> AsyncIterator[Live]:
    """A supervisor for this test only, which serves already."""
    sources.edit(*SAYS_ITS_PID)
    async with supervised(postgres, sources) as live:
        await live.says("serves$")
        live.forget()
        yield live


def template(live: Live) -> int:
    return oldest_first(descendants(live.part.pid))[0]


def answering(live: Live) -> bool:
    """Whether a process listens."""
    try:
        httpx.get(f"http://127.0.0.1:{live.api_port}/", timeout=5)
    except httpx.ConnectError:
        return False
    return True


async def test_a_crash_after_the_trial_is_followed_by_a_restart(own: Live) -> None:
    os.kill(await serving(own), signal.SIGKILL)
    await own.says(r"the service crashed \(it ended without an error message, killed by SIGKILL\); starting it again")
    assert (await own.get(ANY)).status_code in {200, 503}  # from the supervisor, or from the service again
    await own.says("serves$")
    assert (await own.get(ANY)).status_code == 200
    assert await own.metric("reload_crashes_total") == 1
    assert await own.metric("reload_code_stale") == 0


async def test_a_crash_of_the_version_that_was_taken_back(own: Live) -> None:
    good = own.sources.read(CRASH[0])
    own.sources.edit(*CRASH)
    await own.says("serves again, older than the files")
    own.sources.write(CRASH[0], good)
    await own.says(f"the files match the serving version {own.sources.version} again")
    own.forget()
    os.kill(await serving(own), signal.SIGKILL)
    await own.says("serves$")
    assert len(own.said("the service crashed")) == 1
    assert await own.metric("reload_crashes_total") == 2
    assert await own.metric("reload_code_stale") == 0


async def test_repeated_crashes(postgres: Postgres, sources: Sandbox) -> None:
    good = sources.read(CRASH[0])
    sources.edit(*CRASH)
    async with supervised(postgres, sources) as live:
        line = await live.says("3 times in a row: there is no good code left to serve; next start in 1 s, or with")
        assert re.search(r"the service crashed \(it ended without an error message, exit status 1\)", line)
        answer = await live.get(ANY)
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("The service has crashed: ")
        assert (await live.ops("/livez")).status_code == 200
        assert (await live.ops("/readyz")).status_code == 503

        live.forget()
        sources.write(CRASH[0], good)
        await live.says(f"version {sources.version} serves")
        assert (await live.get(ANY)).status_code == 200


@linux_only
async def test_the_template_is_replaced(own: Live) -> None:
    """The processes that it forked end with it, since no other process could wait for them."""
    old = template(own)
    os.kill(old, signal.SIGKILL)
    await own.says("the service crashed")
    await own.says(r"serves$")
    assert (await own.get(ANY)).status_code == 200
    assert template(own) != old


SAYS_WHO_IMPORTS = "\nimport os\nwith open({!r}, 'a') as file:\n    file.write(f'{{os.getpid()}} ')\n"
HANGS = "import signal, time\nsignal.alarm(0)  # or it ends after a minute\nwhile True:\n    time.sleep(1)\n"


@linux_only
@pytest.mark.parametrize(("edit", "has_imported"), [("\n# {}\n", True), ("\nNUMBER = {}\n", False)])
async def test_processes_are_forked_ahead_of_time(own: Live, tmp_path: Path, edit: str, has_imported: bool) -> None:
    """One has imported the service, and serves if only functions do something else; another one serves otherwise."""
    file = tmp_path / "imported"
    own.sources.append(MODULE, SAYS_WHO_IMPORTS.format(str(file)))
    await own.reloads()
    async with asyncio.timeout(WITHIN):
        for number in itertools.count():  # an edit may come before they are warm, which only the template knows
            await asyncio.sleep(0.05 * 2**number)
            imported = {int(pid) for pid in file.read_text().split()}
            wanted = {pid for pid in await waiting(own) if (pid in imported) is has_imported}
            own.sources.append(MODULE, edit.format(number))
            await own.reloads()
            if await serving(own) in wanted:
                break

    for pid in await waiting(own):
        with suppress(ProcessLookupError):  # it may have ended by itself; in both cases it is replaced
            os.kill(pid, signal.SIGKILL)
    own.sources.append(MODULE, "\n# newer\n")
    await own.reloads()


@linux_only
async def test_an_import_that_hangs_is_outdated_by_the_next_save(
    postgres: Postgres, sources: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "imported"
    async with supervised(postgres, sources, RELOAD_READY_WITHIN="5") as live:
        await live.says("serves$")
        good = sources.read(MODULE)
        sources.append(MODULE, SAYS_WHO_IMPORTS.format(str(file)) + HANGS)

        async def hang() -> bool:
            return file.exists() and len(hanging()) == 2

        def hanging() -> set[int]:
            return {int(pid) for pid in file.read_text().split()}

        await eventually(hang, "the new process and the one that imports ahead of time hang")
        live.forget()
        sources.write(MODULE, good)
        await live.says("the files match the serving version")
        sources.append(MODULE, "\n# newer\n")
        await live.reloads()
        await gone(hanging())


async def waiting(live: Live) -> set[int]:
    """The processes that were forked ahead of time, or drain."""
    return set(descendants(template(live))) - {await serving(live)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_stop_is_passed_on(
    postgres: Postgres, sources: Sandbox, tmp_path: Path, number: signal.Signals
) -> None:
    go_on = tmp_path / "go on"
    sources.edit(*slow_route(go_on))
    async with supervised(postgres, sources, SERVICE_SHUTDOWN_GRACE=str(WITHIN)) as live:
        await live.says("serves$")
        processes = descendants(live.part.pid)
        begun = asyncio.create_task(live.get("/things/slow"))
        await live.until_answering()
        live.part.send(number)

        async def is_stopping() -> bool:
            return (await live.ops("/readyz")).status_code == 503

        await eventually(is_stopping, "the service stops")
        go_on.touch()
        answer = await begun
        assert (answer.status_code, answer.text) == (200, "done")
        assert answer.headers["connection"] == "close"
        assert await live.part.wait(WITHIN) == 0
        assert not answering(live)
        await gone(processes)
    assert live.said("Traceback") == [], "\n".join(live.output.lines)


async def test_stopped_while_nothing_serves(postgres: Postgres, sources: Sandbox) -> None:
    sources.append(MODULE, "\n1 / 0\n")
    async with supervised(postgres, sources) as live:
        await live.says("nothing serves")
        live.part.send(signal.SIGTERM)
        assert await live.part.wait(WITHIN) == 0
        assert not answering(live)


async def test_without_a_fork(postgres: Postgres, sources: Sandbox) -> None:
    async with supervised(postgres, sources, RELOAD_FORK="no") as live:
        await live.says("processes are started afresh, not forked: RELOAD_FORK=no")
        await live.says("serves$")
        sources.append(MODULE, "\n# new\n")
        await live.reloads()
        live.forget()
        sources.append(MODULE, "\n1 / 0\n")
        await live.says(rf"the new code does not serve: {MODULE}:\d+: ZeroDivisionError: division by zero;")
        assert (await live.get(ANY)).status_code == 200


@pytest.mark.parametrize("setting", [{"RELOAD_READY_WITHIN": "soon"}, {"RELOAD_FORK": "maybe"}])
async def test_wrong_options(postgres: Postgres, sources: Sandbox, setting: dict[str, str]) -> None:
    async with supervised(postgres, sources, **setting) as live:
        assert await live.part.wait(WITHIN) == 2
    [(name, value)] = setting.items()
    assert live.said(f"reload: {name}={value} is ")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder that every user may write to. The path of tmp_path is too long for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="reload-") as folder:
        path = Path(folder)
        path.chmod(0o1777)
        yield path


@pytest.fixture
def read_only(sources: Sandbox) -> Iterator[Sandbox]:
    """Sources that only root can edit."""
    sources.root.chmod(0o755)
    subprocess.run(["chmod", "-R", "a-w,a+rX", sources.root], check=True)
    yield sources
    subprocess.run(["chmod", "-R", "u+w", sources.root], check=True)


async def test_as_a_user_who_may_write_to_a_temporary_folder_only(
    postgres: Postgres, read_only: Sandbox, temporary: Path
) -> None:
    files = sorted(read_only.root.rglob("*"))
    async with supervised(postgres, read_only, user="unprivileged", TMPDIR=str(temporary)) as live:
        await live.says("serves$")
        assert os.listdir(temporary)
        if os.geteuid() == 0:  # only root can edit them
            read_only.append(MODULE, "\n# new\n")
            await live.reloads()
    assert os.listdir(temporary) == []
    assert sorted(read_only.root.rglob("*")) == files


@pytest.fixture
def unshare() -> list[str]:
    """A command that runs another one as process 1 of its own namespace."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not shutil.which(command[0]) or subprocess.run([*command, "true"], check=False).returncode != 0:
        pytest.skip("needs unshare(1) and a machine that allows it")
    return [shutil.which(command[0]) or "", *command[1:]]


@linux_only
async def test_as_process_1(postgres: Postgres, sources: Sandbox, unshare: list[str]) -> None:
    """It waits for orphans, which become its children, and handles signals, which process 1 ignores by default."""
    orphans = "\nimport subprocess\nsubprocess.run('sleep 0.2 & sleep 0.3 & sleep 0.1 &', shell=True)\n"
    sources.append(MODULE, orphans)
    async with supervised(postgres, sources, *unshare) as live:
        await live.says("serves$")
        first = oldest_first(descendants(live.part.pid))[0]
        async with asyncio.timeout(WITHIN):
            while "sleep" in descendants(first).values() or zombies(first):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await live.get(ANY)).status_code == 200
        os.kill(first, signal.SIGTERM)
        assert await live.part.wait(WITHIN) == 0
