"""`make dev` as a person uses it: starts, stops, and errors."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.waiting import WITHIN
from tests.workbench.processtree import descendants, gone
from tests.workbench.terminal import ALWAYS, STARTED, make_dev
from workbench.machine import folders
from workbench.machine.folders import ROOT
from workbench.machine.lock import data_lock
from workbench.parts import envoy, postgres, prometheus, replica
from workbench.programs.prometheus import Programs

NewData = Callable[[], Path]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make as a shell does, without the variables of the `make test` that may run these tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False
    )


async def test_from_the_first_start_to_ctrl_c(prometheus_programs: Programs, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_dev(data, PROMETHEUS=prometheus_programs.prometheus) as terminal:
        await terminal.until(STARTED)
        steps = ["new data folder", "PostgreSQL 18", "schema up to date", "1 replica ready", "ingress answers"]
        for step in [*steps, "metrics and alerts"]:
            assert re.search(rf"{step}.* +\d+\.\d\d s\n", terminal.text)
        async with httpx.AsyncClient(base_url=terminal.url) as client:
            assert (await client.get(ALWAYS)).status_code == 200
            metrics = re.search(r" (http:\S+/metrics)\n", terminal.text)
            assert metrics
            assert 'environment="workbench"' in (await client.get(metrics[1])).text
            prometheus_url = re.search(r"metrics and alerts +(http:\S+)", terminal.text)
            assert prometheus_url
            assert (await client.get(f"{prometheus_url[1]}/-/ready")).status_code == 200
        await terminal.until("service-1 │ ")

        refused = make("reset", f"DATA={data}")
        assert refused.returncode != 0
        assert f"in use by process {terminal.process.pid} (" in refused.stderr

        processes = descendants(terminal.process.pid)
        assert len(processes) > 3
        terminal.press_ctrl_c()
        assert await terminal.end() == 0
        await gone(processes)
    assert sorted(os.listdir(data)) == ["postgres", "prometheus"]

    assert make("reset", f"DATA={data}").returncode == 0
    assert os.listdir(tmp_path) == []


async def test_ctrl_c_during_the_first_start(tmp_path: Path) -> None:
    async with make_dev(tmp_path) as terminal:
        async with asyncio.timeout(WITHIN):
            while "initdb" not in descendants(terminal.process.pid).values():  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.01)
        terminal.press_ctrl_c()
        assert await terminal.end() == 0
    assert os.listdir(tmp_path) == []


WITH_RULES = """
import sys
from pathlib import Path
from workbench.machine import folders
folders.INGRESS_RULES = Path(sys.argv[1])
from workbench.__main__ import main
sys.exit(main())
"""
"""`make dev` with ingress rules from another folder."""


async def test_three_replicas_until_a_part_does_not_stay(new_data: NewData, tmp_path: Path) -> None:
    rules = shutil.copytree(folders.INGRESS_RULES, tmp_path / "rules")
    command = (sys.executable, "-c", WITH_RULES, str(rules))
    async with make_dev(new_data(), command, REPLICAS="3") as terminal:
        await terminal.until(STARTED)
        seen: set[str] = set()
        async with asyncio.timeout(WITHIN), httpx.AsyncClient(base_url=terminal.url) as client:
            while len(seen) < 3:
                seen.add((await client.get(ALWAYS)).headers["x-service-instance"])
        gateway = rules / "gateway.yaml"
        text = gateway.read_text()
        gateway.write_text(text.replace("apiVersion", "version"))
        await terminal.until_match(r"envoy │ reload: \S+/gateway.yaml: apiVersion: .*; the rules before it go on\n")

        processes = descendants(terminal.process.pid)
        for pause in ("", " after 0.5 s", " after 1 s", " after 2 s"):
            os.kill(terminal.part("envoy"), signal.SIGKILL)
            again = rf" envoy +ended unexpectedly, killed by SIGKILL: starting it again{pause} +\d+\.\d\d s\n"
            await terminal.until_match(again)
        assert terminal.text.count("\nenvoy starts with the last good rules: ") == 4
        os.kill(terminal.part("envoy"), signal.SIGKILL)
        assert await terminal.end() == 1
        await gone(processes)
    assert terminal.text.splitlines()[-1].startswith(
        "make dev: envoy ended unexpectedly, killed by SIGKILL, 5 times in a row, so the rest was stopped: look for "
    )


def test_ctrl_c_takes_less_than_5_s_even_when_every_part_has_to_be_killed() -> None:
    serving_ends = max(replica.STOP_WITHIN, envoy.STOP_WITHIN, prometheus.STOP_WITHIN)
    assert serving_ends + postgres.FAST_STOP_WITHIN + postgres.QUIT_WITHIN < 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a process when its parent ends")
async def test_kill_9_leaves_no_process_and_no_lock(new_data: NewData) -> None:
    data = new_data()
    async with make_dev(data) as terminal:
        await terminal.until(STARTED)
        processes = descendants(terminal.process.pid)
        terminal.process.kill()
        await terminal.process.wait()
        await gone(processes)
    with data_lock(data):
        pass


async def test_a_damaged_data_folder(new_data: NewData) -> None:
    data = new_data()
    shutil.rmtree(data / "postgres" / "global")
    async with make_dev(data) as terminal:
        assert await terminal.end() == 1
    assert re.match(
        r"make dev: PostgreSQL does not start on .*pg_control.*`make reset`", terminal.text.splitlines()[-1]
    )


async def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with make_dev(tmp_path, OPS_PORT=str(port)) as terminal:
            assert await terminal.end() == 1
    lines = terminal.text.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"make dev: port {port} is in use by process {os.getpid()} (")
    assert "make dev OPS_PORT=" in lines[0]


async def test_an_invalid_variable(tmp_path: Path) -> None:
    async with make_dev(tmp_path, REPLICAS="many") as terminal:
        assert await terminal.end() == 2
    assert terminal.text == "make dev: REPLICAS=many is not a number from 1 to 9\n"


async def test_a_stable_version_that_does_not_exist(tmp_path: Path) -> None:
    async with make_dev(tmp_path / "data", STABLE="no-such-branch") as terminal:
        assert await terminal.end() == 2
    [line] = terminal.text.splitlines()
    assert line.startswith("make dev: STABLE=no-such-branch ")  # is no commit, or there is no repository
    assert os.listdir(tmp_path) == []


async def test_an_invalid_setting_of_the_service(new_data: NewData) -> None:
    async with make_dev(new_data(), SERVICE_POOL_SIZE="lots") as terminal:
        assert await terminal.end() == 1
    assert re.match(
        r"make dev: migrate failed \(exit status \d\): .*SERVICE_POOL_SIZE", terminal.text.splitlines()[-1]
    )


def test_reset_removes_only_what_the_workbench_made(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    refused = make("reset", f"DATA={tmp_path}")
    assert refused.returncode != 0
    assert "it contains 'thesis.tex': check DATA=" in refused.stderr
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_reset_does_not_remove_backups(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    refused = make("reset", f"DATA={tmp_path}")
    assert refused.returncode != 0
    assert refused.stderr.startswith(
        f"make reset: {tmp_path}/backups would be removed too: move or delete that folder"
    )
    assert os.listdir(tmp_path) == ["backups"]


def test_a_missing_python() -> None:
    refused = make("dev", "PYTHON=python0")
    assert refused.returncode != 0
    assert "\nmake: Python 3.11 or later is needed, and python0 is missing: install it" in refused.stderr
    assert refused.stdout == ""
