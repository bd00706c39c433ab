"""`make live`: whether the code in the files answers, for scripts."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.live import FILE
from harness.sandbox import Sandbox
from tests.probe.project import MODULE
from tests.waiting import WITHIN
from tests.workbench.reload.live import Live
from workbench import live as command
from workbench.machine.folders import ROOT
from workbench.reload import code
from workbench.reload.verdict import Refusal, Verdict, decode
from workbench.stack import Stack

FILES = code.version(code.read())


async def asked(sources: Sandbox, data: Path, *arguments: str) -> tuple[int, str]:
    """The exit status of `make live` and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workbench.live", "--within", str(WITHIN), *arguments),
        cwd=sources.root,
        env=os.environ | {"DATA": str(data)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_a_script_knows_when_its_edit_is_live_or_what_refused_it(
    live: Live, live_stack: tuple[Stack, Live]
) -> None:
    data = live_stack[0].options.data

    async def answer() -> tuple[int, dict[str, Any]]:
        status, output = await asked(live.sources, data, "--json")
        return status, json.loads(output)

    status, told = await answer()
    assert (status, told["live"], told["version"]) == (0, True, live.sources.version)

    live.sources.append(MODULE, "\nundefined_name\n")
    status, told = await answer()
    line = live.sources.read(MODULE).count("\n")
    assert (status, told) == (
        1,
        {
            "live": False,
            "version": live.sources.version,
            "replica": "service-1",
            "file": MODULE,
            "line": line,
            "error": "NameError: name 'undefined_name' is not defined",
        },
    )
    assert (await asked(live.sources, data))[1] == (
        f"version {live.sources.version} is refused by service-1: {MODULE}:{line}: {told['error']}\n"
    )

    live.sources.restore()
    live.sources.append(MODULE, "\n# newer\n")
    status, told = await answer()
    assert (status, told["live"]) == (0, True)
    assert told["replicas"]["service-1"] > 0


async def test_without_a_workbench(live: Live, tmp_path: Path) -> None:
    status, output = await asked(live.sources, tmp_path)
    assert (status, output) == (
        1,
        f"make live: no workbench runs on {tmp_path}: start it with `make dev`, or set DATA= to its data folder\n",
    )
    assert json.loads((await asked(live.sources, tmp_path, "--json"))[1])["live"] is False


def told(*replicas: dict[str, Verdict], within: float = WITHIN, variables: Path | None = None) -> dict[str, Any]:
    """What is said if the replicas say one thing after the other."""
    answers: Iterator[dict[str, Verdict]] = iter([*replicas, *[replicas[-1]] * 1000])
    return command.wait(lambda: next(answers), within, variables)


def test_all_replicas_have_to_serve_it() -> None:
    new, old = Verdict(FILES, 0.08), Verdict("older")
    assert told({"a": new, "b": old}, {"a": new, "b": new})["replicas"] == {"a": 80.0, "b": 80.0}
    assert told({"a": new, "b": old, "c": Verdict()}, within=0)["error"] == (
        "not within 0 s: b serves older, c serves nothing"
    )


def test_only_a_refusal_of_these_files_with_these_variables_counts(tmp_path: Path) -> None:
    variables = tmp_path / ".env"
    variables.touch()
    saved = variables.stat().st_mtime

    def refused(version: str, at: float) -> dict[str, Verdict]:
        return {"a": Verdict("older", 0.0, Refusal(version, "no place", at))}

    new = {"a": Verdict(FILES, 0.08)}
    assert told(refused(FILES, saved), new, variables=variables)["error"] == "no place"
    assert told(refused(FILES, saved - 1), new, variables=variables)["live"]
    assert told(refused("other", saved), new, variables=variables)["live"]


def test_the_database_has_to_be_that_of_the_branch(tmp_path: Path) -> None:
    head = tmp_path / "HEAD"
    head.write_text("ref: refs/heads/feature\n")
    saved = head.stat().st_mtime

    def serves(branch: str | None, refused: Refusal | None = None) -> dict[str, Verdict]:
        return {"a": Verdict(FILES, 0.08, refused, str(tmp_path), branch)}

    assert told(serves("main"), within=0)["error"] == f"not within 0 s: a serves {FILES} of main"
    assert told(serves("main", Refusal(FILES, "no place", saved - 1)), serves("feature"))["live"]
    head.write_text(f"{'0' * 40}\n")
    assert told(serves("main"))["live"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"serving": 1}', '{"serving": "a", "seconds": 0, "refused": {"x": 1}}']
)
def test_what_is_no_verdict_serves_nothing(text: str) -> None:
    assert decode(text) == Verdict()


def test_the_image_keeps_its_verdict_where_the_command_reads_it() -> None:
    assert f"RELOAD_VERDICT_FILE={FILE}\n" in (ROOT / "Dockerfile").read_text()
