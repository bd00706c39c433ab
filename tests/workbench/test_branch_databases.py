"""Which database belongs to a git branch, and what git says of it. Live reload has tests of the switch itself."""

import asyncio
import io
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from tests.waiting import WITHIN, eventually
from tests.workbench.reload.test_two_versions import commit_all, git
from workbench import branches
from workbench.backups import main as backups
from workbench.console import Console
from workbench.errors import BranchDatabaseError, UsageError
from workbench.machine.checkout import find_checkout
from workbench.machine.folders import run_folder
from workbench.parts.branch_databases import Use, branch_databases
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import BRANCH_SETTING, SUPERUSER, Postgres
from workbench.reload import code
from workbench.reload.branches import BranchDatabase
from workbench.reload.candidate import SupersededError

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


@pytest.fixture
async def postgres(new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    data = new_data()
    settings = {**NOT_DURABLE, BRANCH_SETTING: "yes"}
    with run_folder(data) as run:
        async with await open_postgres(data, run, Console(io.StringIO()), settings) as postgres:
            yield postgres


@pytest.fixture
def server(postgres: Postgres) -> str:
    return postgres.url(SUPERUSER, "postgres")


async def use(server: str, branch: str | None) -> Use:
    async with branch_databases(server) as databases:
        return await databases.use(branch)


async def test_each_branch_has_a_database(postgres: Postgres, server: str) -> None:
    assert await use(server, None) == await use(server, "main") == Use("app")
    client = await asyncpg.connect(postgres.url("app_owner"))
    await client.execute("CREATE TABLE rows (id int)")

    # The client is disconnected, and what a killed workbench has left is no obstacle. Two replicas get the same one.
    async with branch_databases(server) as databases:
        await databases._connection.execute("CREATE DATABASE app_unfinished_copy")
    first, second = await asyncio.gather(use(server, "b/ü"), use(server, "b/ü"))
    assert first.name == second.name
    assert [used.made[:28] for used in (first, second) if used.made] == ["a copy of that of main, made"]
    assert client.is_closed()
    copy = await asyncpg.connect(postgres.url("app_rw", first.name))
    assert await copy.fetchval("SELECT count(*) FROM rows") == 0
    await copy.close()

    other = await use(server, "b-u")
    assert len({"app", first.name, other.name}) == 3
    assert "a copy of that of b/ü" in other.made
    assert await use(server, None) == Use(other.name)
    assert await use(server, "main") == Use("app")
    async with branch_databases(server) as databases:
        assert await databases.current() == "app"
        assert list(await databases.kept()) == ["app", other.name, first.name]


async def test_the_branch_of_a_removed_database_gets_one_from_the_same_parent(server: str) -> None:
    for branch in ("main", "feature", "other", "feature"):
        used = await use(server, branch)
    async with branch_databases(server) as databases:
        assert not await databases.remove(used.name)  # it was the last one, so a service may use it
    again = await use(server, "feature")
    assert again.name != used.name
    assert "a copy of that of main" in again.made
    async with branch_databases(server) as databases:
        records = await databases.records()
        assert used.name not in records
        [other] = [name for name, record in records.items() if record.branch == "other"]
        assert await databases.remove(other)


async def test_a_statement_may_end_before_its_database_is_copied(
    postgres: Postgres, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.parts.branch_databases._MAY_END_WITHIN", WITHIN)
    await use(server, "main")
    client, observer = [await asyncpg.connect(postgres.url(SUPERUSER, name)) for name in ("app", "postgres")]
    running = asyncio.create_task(client.fetchval("SELECT count(*) FROM pg_sleep(0.3)"))

    async def begun() -> bool:
        active = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app' AND state = 'active'"
        return running.done() or await observer.fetchval(active) == 1

    await eventually(begun, "the statement runs")
    used = await use(server, "feature")
    assert used.made
    assert await running == 1  # it could end
    await observer.close()
    with pytest.raises(BranchDatabaseError, match=r"^the databases of the branches cannot be used: "):
        await use(server.replace("/postgres?", "/nowhere?"), "main")


@needs_git
async def test_a_workbench_that_does_not_follow_branches_uses_the_first_one(
    new_data: Callable[[], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = new_data()
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "file").touch()
    commit_all(repository)
    for follows, expected in (("yes", "app_feature_"), ("no", "app-")):
        with run_folder(data) as run:
            settings = {**NOT_DURABLE, BRANCH_SETTING: follows}
            async with await open_postgres(data, run, Console(io.StringIO()), settings) as postgres:
                for branch in ("main", "feature"):
                    await use(postgres.url(SUPERUSER, "postgres"), branch)
                assert await asyncio.to_thread(backups, ["backup"], {"DATA": str(data)}) == 0
        assert f"/backups/{expected}" in capfd.readouterr().out

    # And without a workbench that runs.
    output = io.StringIO()
    await branches.main({"DATA": str(data)}, Console(output), repository)
    feature, main = output.getvalue().splitlines()
    assert feature.startswith("* feature  app_feature_")
    assert main.startswith("  main     app  ")


@needs_git
async def test_files_do_not_meet_the_database_of_another_branch(
    postgres: Postgres, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    commit_all(tmp_path)
    urls = {name: postgres.url("app_rw") for name in ("SERVICE_DATABASE_URL", "SERVICE_DATABASE_OWNER_URL")}
    said: list[str] = []
    database = BranchDatabase(tmp_path / ".git", server, urls, said.append)
    version = code.version(await database.read())
    assert await database.variables(again=False) == urls
    assert not database.moved(version)
    assert database.moved("other")

    git(tmp_path, "checkout", "--quiet", "-b", "feature")
    assert database.moved(version)
    await database.read()
    git(tmp_path, "checkout", "--quiet", "main")
    with pytest.raises(SupersededError):
        await database.variables(again=False)
    assert [line[:29] for line in said] == ["branch feature: database app_"]


@needs_git
async def test_the_branch_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "repository"
    project = repository / "project"
    project.mkdir(parents=True)
    (project / "file").touch()
    commit_all(repository)
    worktree = tmp_path / "worktree"
    git(repository, "worktree", "add", "--quiet", "-b", "feature/ü", str(worktree))

    found = find_checkout(project, "X=yes")
    assert found.branch() == "main"
    assert find_checkout(worktree / "project", "X=yes").branch() == "feature/ü"
    git(repository, "checkout", "--quiet", "--detach")
    assert found.branch() is None

    state = await found.settled()
    (project / "file").write_text("x")
    git(repository, "add", "--all")
    assert await found.settled() != state
    lock = found.folder / "index.lock"
    lock.touch()
    settling = asyncio.create_task(found.settled())
    done, _ = await asyncio.wait({settling}, timeout=0.1)
    assert not done
    lock.unlink()
    await settling

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match=r"^X=yes needs a git checkout: .*not a git repository"):
        find_checkout(tmp_path, "X=yes")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"^X=yes needs the branch, which only git can tell: install git$"):
        find_checkout(project, "X=yes")
