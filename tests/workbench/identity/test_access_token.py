"""`make token`: for scripts, so a token and nothing else; and what it says if there is none."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workbench.identity.person import Person
from workbench.access_token import of_workbench
from workbench.errors import WorkbenchError
from workbench.identity.data import Files
from workbench.machine.folders import ROOT
from workbench.machine.lock import data_lock
from workbench.stack import Stack

Token = Callable[..., subprocess.CompletedProcess[str]]


def make_token(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As a shell does it, with the USER that each shell has."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "token", "--old-file=environment-workbench", f"VENV_PYTHON={sys.executable}", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**env, "USER": "root"}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "user", "roles"),
    [
        ([], "ada", None),
        (["USER=ada"], "ada", None),
        (["USER=grace"], "grace", ["admin"]),
        (["USER=ada", "ROLE=admin"], "ada", ["admin"]),
        (["ROLE=admin"], "grace", ["admin"]),
        (["USER=grace", "ROLE=editor"], "grace", ["admin", "editor"]),
    ],
    ids=str,
)
async def test_it_prints_a_token_that_the_gateway_accepts(
    person: Person, stack: Stack, arguments: list[str], user: str, roles: list[str] | None
) -> None:
    done = make_token(f"DATA={stack.options.data}", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    token = done.stdout.removesuffix("\n")
    assert "\n" not in token
    assert await person.may_use(token) == 200
    claims = await person.claims(token)
    assert (claims["sub"], claims.get("groups"), claims["iss"]) == (user, roles, f"{person.url}/auth")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["USER=eve"], "USER=eve: there is no such user: use one of ada, grace (admin)"),
        (["USER=a 'b\"c"], "USER=a 'b\"c: there is no such user"),
        (["ROLE=owner"], "ROLE=owner: no user has this role: use one of ada, grace (admin)"),
    ],
)
async def test_without_such_a_user_it_says_who_there_is(stack: Stack, arguments: list[str], problem: str) -> None:
    done = make_token(f"DATA={stack.options.data}", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"make token: {problem}" in done.stderr


def test_without_a_workbench_it_says_how_to_start_one(tmp_path: Path) -> None:
    done = make_token(f"DATA={tmp_path}")
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert f"no workbench runs on {tmp_path}: start one with `make dev`, or name its folder" in done.stderr


def test_without_a_provider_it_says_how_to_start_one(tmp_path: Path) -> None:
    with data_lock(tmp_path), pytest.raises(WorkbenchError, match=r"has no identity provider.*IDENTITY=yes"):
        of_workbench(tmp_path, None, None)


def test_it_makes_no_key(tmp_path: Path) -> None:
    files = Files.of(tmp_path)
    files.folder.mkdir()
    files.url.write_text("http://localhost:1")
    with data_lock(tmp_path), pytest.raises(WorkbenchError):
        of_workbench(tmp_path, None, None)
    assert not files.key.exists()


@pytest.mark.parametrize("target", ["token", "live"])
def test_another_place_is_refused(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target, "WHERE=moon"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "WHERE=moon is not valid: only `cluster` and `workbench` are" in done.stderr
