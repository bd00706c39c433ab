"""`make dev BRANCH_DATABASES=yes`: the database of the service follows the branch of a git checkout."""

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from harness.sandbox import Sandbox
from tests.probe.project import probe_sandbox
from tests.probe.stack import make_table
from tests.waiting import eventually
from tests.workbench.reload.live import Live, Output, header, live_workbench
from tests.workbench.reload.test_reload_migrations import FILE, MIGRATION
from tests.workbench.reload.test_two_versions import commit_all, git
from workbench import branches
from workbench.console import Console
from workbench.errors import UsageError
from workbench.parts.postgres import SUPERUSER
from workbench.stack import Stack

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

LONG = "feature/Größe-" + "x" * 200


@dataclass
class Checkout:
    """Sources in a git repository, and two replicas that follow them, each with a supervisor of its own."""

    sources: Sandbox
    stack: Stack
    live: Live

    def git(self, *arguments: str) -> str:
        return git(self.sources.root, *arguments)

    async def switches(self, *arguments: str) -> None:
        """Checks something out, and waits until both replicas use the database of that branch."""
        self.live.forget()
        self.git("checkout", "--quiet", *arguments)
        await self.both_say(f"branch {self.git('branch', '--show-current')}: database app")
        await self.both_reload()

    async def both_reload(self) -> None:
        await self.both_say(f"version {self.sources.version} answers after")

    async def both_say(self, words: str) -> None:
        for replica in self.stack.replicas:
            await self.live.says(f"{replica.name} .*{words}")

    async def add(self, name: str) -> None:
        client = self.live._client(self.live.url)
        assert (await client.post("/things", json={"name": name})).status_code == 201

    async def names(self) -> list[set[str]]:
        """The things that each replica finds."""
        urls = [f"http://127.0.0.1:{replica.api_port}/things" for replica in self.stack.replicas]
        answers = [await self.live.get(url) for url in urls]
        return [{thing["name"] for thing in answer.json()["items"]} for answer in answers]

    async def command(self, remove: str = "") -> list[str]:
        """What `make branches` prints."""
        output = Output()
        variables = {"DATA": str(self.stack.options.data), "REMOVE": remove}
        await branches.main(variables, Console(output), self.sources.root)
        return output.lines

    async def database_of(self, branch: str) -> str:
        [line] = [line for line in await self.command() if f" {branch} " in line]
        return line.removeprefix("*").split()[1]

    async def ask(self, branch: str, question: str) -> list[object]:
        """What the database of a branch answers."""
        connection = await asyncpg.connect(self.stack.postgres.url(SUPERUSER, await self.database_of(branch)))
        try:
            return [row[0] for row in await connection.fetch(question)]
        finally:
            await connection.close()


@pytest.fixture(scope="module")
async def running(new_data: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Checkout]:
    sources = probe_sandbox(tmp_path_factory.mktemp("branches") / "sources")
    # As in a worktree or a submodule, .git is a file.
    git(sources.root, "init", "--quiet", "--initial-branch=main", "--separate-git-dir=../git")
    commit_all(sources.root)
    async with live_workbench(sources, new_data(), replicas=2, branch_databases=True) as (stack, live):
        await make_table(stack.postgres)
        yield Checkout(sources, stack, live)


@pytest.fixture
async def checkout(running: Checkout) -> AsyncIterator[Checkout]:
    """On main, before and after the test."""
    yield running
    if running.git("branch", "--show-current") != "main":
        await running.switches("--force", "main")


RIGHTS = """
    SELECT array_agg(privilege_type || ' ' || grantee::regrole ORDER BY 1)::text FROM pg_database, aclexplode(datacl)
     WHERE datname = current_database() AND grantee <> datdba
    UNION ALL
    SELECT array_agg(setrole::regrole || ' ' || setconfig::text ORDER BY 1)::text FROM pg_db_role_setting
      JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
"""


async def test_what_a_branch_writes_stays_there(checkout: Checkout) -> None:
    await checkout.add("main")
    await checkout.switches("-b", LONG)
    assert await checkout.names() == [{"main"}] * 2
    await checkout.add("branch")
    await checkout.switches("main")
    assert await checkout.names() == [{"main"}] * 2
    await checkout.switches(LONG)
    assert await checkout.names() == [{"main", "branch"}] * 2
    # So it stays while HEAD is no branch, as in a rebase.
    checkout.live.forget()
    checkout.git("checkout", "--quiet", "--detach")
    checkout.sources.edit(*header("x-edit", "'detached'"))
    await checkout.both_reload()
    assert await checkout.names() == [{"main", "branch"}] * 2

    # Who has followed an event stream of one branch reads the list of the other one.
    resets = "SELECT count(DISTINCT kind) FROM app.events WHERE kind = 'reset'"
    for branch in (LONG, "main"):

        async def told(branch: str = branch) -> bool:
            return await checkout.ask(branch, resets) == [1]

        await eventually(told, f"a reset of the streams of {branch}")

    assert await checkout.ask(LONG, RIGHTS) == await checkout.ask("main", RIGHTS)
    assert (await checkout.database_of(LONG)).startswith("app_feature_gr_e_xxx")
    assert await checkout.database_of("main") == "app"


async def test_an_edited_migration_needs_only_a_new_database_of_the_branch(checkout: Checkout) -> None:
    tables = "SELECT table_name FROM information_schema.columns WHERE column_name IN ('mood', 'zz_name')"
    await checkout.switches("-b", "moods")
    checkout.live.forget()
    checkout.sources.write(MIGRATION, "CREATE TABLE zz_moods (zz_name text);")
    await checkout.both_reload()
    checkout.git("add", MIGRATION)
    checkout.git("commit", "--quiet", "--no-verify", "-m", "Moods")
    checkout.live.forget()
    breaking = "ALTER TABLE idempotency_keys RENAME key TO renamed;"  # but not the code that runs on another database
    checkout.sources.write(MIGRATION, f"CREATE TABLE zz_moods (zz_name text, mood text); {breaking}")
    await checkout.both_say(f"the new code does not serve: .*{FILE} was edited after it had been applied")

    checkout.live.forget()
    before = await checkout.database_of("moods")
    await checkout.command("moods")
    await checkout.both_say("branch moods: database app_moods_")
    await checkout.both_reload()
    assert await checkout.database_of("moods") != before
    assert await checkout.ask("moods", tables) == ["zz_moods", "zz_moods"]
    checkout.live.forget()
    await checkout.command("moods")
    await checkout.both_reload()
    assert await checkout.ask("moods", tables) == ["zz_moods", "zz_moods"]  # a migration belongs to a database
    assert await checkout.ask("main", tables) == []


async def test_branches_are_listed_and_removed(checkout: Checkout) -> None:
    await checkout.switches("-b", "merged")
    [line] = [line for line in await checkout.command() if " merged " in line]
    assert line.startswith("* merged ")
    assert line.endswith(" from main")
    await checkout.switches("main")
    checkout.git("branch", "-D", "merged")
    [line] = [line for line in await checkout.command() if " merged " in line]
    assert line.startswith("  merged ")
    assert line.endswith(" from main; gone: `make branches REMOVE=gone` removes it")

    with pytest.raises(UsageError, match=r"^REMOVE=main: app, the database of this branch, is the one that"):
        await checkout.command("main")
    with pytest.raises(UsageError, match=r"^REMOVE=other has no database: use a branch that `make branches` lists"):
        await checkout.command("other")
    await checkout.command("gone")
    assert not [line for line in await checkout.command() if " merged " in line]
