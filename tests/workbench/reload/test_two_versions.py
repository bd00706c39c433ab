"""`make dev STABLE=commit`: the replica of the commit stays as it is, beside replicas that follow the files."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from harness.tls import NO_TLS
from tests.canary import canary_rules
from tests.probe.project import MODULE, probe_sandbox
from tests.probe.stack import make_table
from tests.waiting import WITHIN
from tests.workbench.reload.live import header, live_workbench
from tests.workbench.things import ANY
from workbench.errors import UsageError
from workbench.machine.commits import check_out, find_commit
from workbench.machine.folders import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

NewData = Callable[[], Path]
ASKED_FOR = {"x-canary": "1"}


def git(folder: Path, *arguments: str) -> str:
    """Runs git without the configuration of this machine, and without the variables of a hook that runs the tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()


def commit_all(folder: Path) -> str:
    """Makes a repository of the folder. Returns the id of its only commit."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    shutil.copy(ROOT / ".gitignore", folder)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", "-m", "All files")
    return git(folder, "rev-parse", "HEAD")


def git_state(folder: Path) -> tuple[str, ...]:
    """What is checked out and what is in the index, the branches, and the worktrees."""
    commands = ("status --porcelain --branch --untracked-files=no", "for-each-ref", "worktree list")
    return tuple(git(folder, *command.split()) for command in commands)


async def test_an_edit_changes_the_canary_and_not_the_stable_version(new_data: NewData, tmp_path: Path) -> None:
    sources = probe_sandbox(tmp_path / "sources")
    commit = commit_all(sources.root)
    sources.edit(*header("x-edit", "'first'"))
    before = git_state(sources.root)
    rules = canary_rules(tmp_path / "istio", stable=1, canary=1)

    async with live_workbench(sources, new_data(), stable="main", rules=rules) as (stack, live):
        await make_table(stack.postgres)
        async with httpx.AsyncClient(base_url=live.url, timeout=WITHIN, verify=NO_TLS, trust_env=False) as client:
            # Half of them each: that one gets none of 60 happens once in 6e17 runs.
            answers = [await client.get(ANY) for _ in range(60)]
            versions = {(answer.headers["x-service-instance"], answer.headers.get("x-edit")) for answer in answers}
            assert {answer.status_code for answer in answers} == {200}
            assert versions == {("service-1", "first"), ("stable", None)}
            by_instance = {answer.headers["x-service-instance"]: answer for answer in answers}
            assert by_instance["stable"].headers["x-service-version"] == commit[:8]
            assert {by_instance[name].headers.get("x-canary") for name in ("service-1", "stable")} == {"1", None}

            # Both have the same database.
            created = await client.post("/things", json={"name": "shared"}, headers=ASKED_FOR)
            assert created.headers["x-service-instance"] == "service-1"
            read = [await client.get(created.headers["location"]) for _ in range(60)]
            assert {answer.headers["x-service-instance"] for answer in read} == {"service-1", "stable"}
            assert {answer.json()["name"] for answer in read} == {"shared"}

            live.forget()
            sources.edit(MODULE, "'first'", "'second'")
            await live.says("version .* answers after")
            assert (await client.get(ANY, headers=ASKED_FOR)).headers["x-edit"] == "second"
            stable = stack.replicas[-1]
            old = await client.get(f"http://127.0.0.1:{stable.api_port}{ANY}")
            assert (old.headers["x-service-version"], "x-edit" in old.headers) == (commit[:8], False)
            ready = await client.get(f"http://127.0.0.1:{stable.ops_port}/readyz")
            assert ready.status_code == 200
        assert git_state(sources.root) == before
        data = stack.options.data
    assert [path.name for path in data.iterdir()] == ["postgres"]


async def test_code_that_does_not_start(new_data: NewData, tmp_path: Path) -> None:
    sources = probe_sandbox(tmp_path / "sources")
    sources.write("service/__main__.py", "raise ImportError('broken')")
    commit_all(sources.root)
    sources.restore()
    with pytest.raises(UsageError, match=r"^STABLE=main: the code of this commit does not start: .*broken"):
        async with live_workbench(sources, new_data(), stable="main"):
            pass


def test_a_name_that_is_no_commit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    commit = commit_all(tmp_path)
    for name in ("main", "HEAD", commit[:7], "main~0"):
        assert find_commit(name, tmp_path).id == commit
    for name in ("other", "main~1", "-x", "HEAD:file"):
        with pytest.raises(UsageError, match=rf"^STABLE={name} is no commit of this repository: use a branch"):
            find_commit(name, tmp_path)


def test_a_folder_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match=r"^STABLE=main cannot be read from a repository: .*not a git repository"):
        find_commit("main", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"^STABLE=main is a commit, which only git can read: install git$"):
        find_commit("main", tmp_path)


def test_the_files_of_a_project_that_is_not_the_root_of_its_repository(tmp_path: Path) -> None:
    project = tmp_path / "repository" / "project"
    project.mkdir(parents=True)
    (project / "file").write_text("committed")
    commit_all(tmp_path / "repository")
    (project / "file").write_text("edited")

    check_out(find_commit("main", project), project, tmp_path / "stable")

    assert (tmp_path / "stable" / "file").read_text() == "committed"
    assert (project / "file").read_text() == "edited"
