"""Which changes cause a reload."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from harness.breakages import MODULE as OTHER_MODULE
from tests.probe.project import MODULE
from tests.waiting import WITHIN
from tests.workbench.reload.live import Live, header, unseen
from tests.workbench.things import ANY
from workbench.machine.folders import ROOT
from workbench.project import NAME
from workbench.reload import sources
from workbench.reload.code import ignored
from workbench.reload.sources import Change, Watcher, git_folder


def marked(live: Live, mark: str) -> str:
    """The source of MODULE, changed so that answers have a mark."""
    _, old, new = header("x-mark", repr(mark))
    return live.sources.read(MODULE).replace(old, new)


async def mark(live: Live) -> str | None:
    answer = await live.get(ANY)
    found: str | None = answer.headers.get("x-mark")
    return found


async def ok(live: Live) -> float:
    return await live.metric('reloads_total{result="ok"}')


@pytest.mark.parametrize(
    "path",
    [
        "service/things/.routes.py.swp",
        "service/things/routes.py~",
        "service/things/4913",
        "service/things/.#routes.py",
        "service/things/#routes.py#",
        "service/things/__pycache__/routes.cpython-311.pyc",
        "service/things/routes.pyc",
        "service/things/routes.py___jb_tmp___",
        "service/things/routes.py.tmp",
        "service/tests/test_things.py",
        "service/things/test_routes.py",
        "service/conftest.py",
        "service/.DS_Store",
    ],
)
def test_files_of_editors_and_tests_are_ignored(path: str) -> None:
    assert ignored(ROOT / path)


@pytest.mark.parametrize(
    "path",
    [
        "service/things/routes.py",
        "service/migrations/0001_things.sql",
        "service/things/static/index.html",
        "service/latest.py",
        "service/things/templates/thing.txt",
    ],
)
def test_every_other_file_is_code(path: str) -> None:
    assert not ignored(ROOT / path)


async def test_ignored_files_cause_no_reload(live: Live) -> None:
    before = await ok(live)
    version = live.sources.version
    for name in ("things.py~", ".things.py.swp", "4913", "test_things.py"):
        (live.sources.root / "service" / name).write_text("not code")
    assert live.sources.version == version
    live.sources.append(MODULE, "\n# the only change\n")
    assert f"reload: {MODULE}: version" in await live.reloads()
    assert await ok(live) == before + 1


async def test_a_burst_of_saves_is_one_reload(live: Live) -> None:
    before = await ok(live)
    burst = live.sources.root / "service" / "burst"
    burst.mkdir()
    with unseen(live):
        for number in range(200):
            (burst / f"module_{number}.py").write_text(f"NUMBER = {number}\n")
    line = await live.reloads()
    assert "more: version" in line
    live.forget()
    live.sources.append(MODULE, "\n# later\n")
    await live.reloads()
    assert await ok(live) == before + 2


async def test_a_folder_that_is_moved_in_and_out(live: Live, tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "words.txt").write_text("words")
    extra = live.sources.root / "service" / "extra"
    (tmp_path / "extra").rename(extra)
    assert "service/extra/words.txt: version" in await live.reloads()
    live.forget()
    extra.rename(tmp_path / "extra")
    assert "service/extra/words.txt: version" in await live.reloads()


async def test_changes_during_a_reload_lead_to_exactly_one_more(live: Live, tmp_path: Path) -> None:
    before = await ok(live)
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    wait = (
        "\nimport pathlib, time\n"
        f"pathlib.Path({str(begun)!r}).touch()\n"
        f"while not pathlib.Path({str(go_on)!r}).exists():\n    time.sleep(0.01)\n"
    )
    live.sources.append(MODULE, wait)
    first = live.sources.version
    async with asyncio.timeout(WITHIN):
        while not begun.exists():  # noqa: ASYNC110 - another process creates it
            await asyncio.sleep(0.005)
    for number in range(3):
        live.sources.append(MODULE, f"\n# {number}\n")
        live.sources.append(OTHER_MODULE, f"\n# {number}\n")
        await asyncio.sleep(0.05)
    go_on.touch()
    await live.says(f"version {first} answers")
    await live.reloads()
    live.forget()
    live.sources.append(MODULE, "\n# later\n")
    await live.reloads()
    assert await ok(live) == before + 3


async def test_files_that_tar_replaces(live: Live) -> None:
    """As `tilt` syncs into a container: a new inode, with the time of another machine in whole seconds."""
    path = live.sources.root / MODULE
    for number in (1, 2):
        new = path.with_name("things.py.tmp")
        new.write_text(marked(live, f"tar {number}") if number == 1 else path.read_text().replace("tar 1", "tar 2"))
        os.utime(new, (1_700_000_000, 1_700_000_000))
        new.replace(path)
        live.forget()
        line = await live.reloads()
        assert await mark(live) == f"tar {number}"
        assert int(line.split("answers after ")[1].split(" ms")[0]) < 20_000  # it does not count from the mtime


async def test_two_saves_of_equal_size_within_a_second_run_the_newest(live: Live) -> None:
    """Their .pyc files would have the same time and size."""
    texts = [marked(live, f"save {number}") for number in range(4)]
    now = time.time()
    for number, text in enumerate(texts):
        live.sources.write(MODULE, text)
        os.utime(live.sources.root / MODULE, (int(now), int(now)))
        live.forget()
        await live.reloads()
        assert await mark(live) == f"save {number}"


async def test_changes_of_settings_static_files_and_sql(live: Live) -> None:
    live.sources.write(".env", "SERVICE_NAME=renamed\n")
    await live.says(r"\.env: version \w+ answers after")
    assert (await live.get("/openapi.json")).json()["info"]["title"] == "renamed"
    live.forget()
    (live.sources.root / ".env").unlink()
    await live.says(r"\.env: version \w+ answers after")
    assert (await live.get("/openapi.json")).json()["info"]["title"] == NAME

    live.forget()
    with unseen(live):
        live.sources.write("service/domains/mark.txt", "old")
        live.sources.edit(*header("x-mark", '__import__("pathlib").Path(__file__).with_name("mark.txt").read_text()'))
    await live.reloads()
    assert await mark(live) == "old"
    live.forget()
    live.sources.write("service/domains/mark.txt", "new")
    assert "service/domains/mark.txt" in await live.reloads()
    assert await mark(live) == "new"

    live.forget()
    live.sources.write("service/search.sql", "SELECT 1\n")
    assert "service/search.sql" in await live.reloads()


def test_the_folder_of_git_is_known_in_a_worktree_too(tmp_path: Path) -> None:
    assert git_folder(tmp_path) == tmp_path / ".git"
    (tmp_path / ".git").mkdir()
    assert git_folder(tmp_path) == tmp_path / ".git"
    (tmp_path / "worktree").mkdir()
    (tmp_path / "worktree" / ".git").write_text("gitdir: ../.git/worktrees/one\n")
    assert git_folder(tmp_path / "worktree").resolve() == tmp_path / ".git" / "worktrees" / "one"


async def test_the_installed_packages_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PACKAGES", tmp_path)

    def fail(error: Exception, _again_after: float) -> None:
        raise error

    watcher = Watcher()
    watching = asyncio.create_task(watcher.run(fail))
    try:
        async with asyncio.timeout(WITHIN):
            number = 0
            while not watcher.changed.is_set():  # there is no event for the begin of watching
                number += 1
                (tmp_path / f"package-{number}.dist-info").mkdir()
                await asyncio.sleep(0.05)
            change = await watcher.take()
    finally:
        watching.cancel()
    assert change.packages
    assert str(change) == "the installed packages"


def test_a_change_is_dated_by_the_time_of_the_save(tmp_path: Path) -> None:
    file = tmp_path / "saved.py"
    file.touch()
    saved = file.stat().st_ctime
    assert Change({file}).is_before(saved + 1)
    assert not Change({file}).is_before(saved)
    assert not Change({file}, packages=True).is_before(saved + 1)
    assert not Change().is_before(saved + 1)
    assert Change({tmp_path / "removed.py"}).is_before(saved)
