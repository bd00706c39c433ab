"""tests/running/programs.py: who needs which program, and what is left out without it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running.programs import everything_else
from tests.workbench.programs.conftest import program
from workbench.machine.folders import ROOT
from workbench.programs.bring import NAMES

TESTS = """
import pytest

@pytest.fixture
def browser(): ...

@pytest.fixture
def page(browser): ...

def test_a_page(page): ...
def test_a_metric(prometheus_programs): ...
def test_a_message(alertmanager_programs): ...
def test_neither(): ...
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    file = tmp_path / "test_small.py"
    file.write_text(TESTS)
    return file


def run(suite: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (
            sys.executable,
            "-m",
            "pytest",
            "-c",
            "/dev/null",
            "-p",
            "tests.running.programs",
            "-p",
            "xdist.plugin",
            *options,
            suite,
        ),
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_tests_that_need_a_program_are_left_out(suite: Path, processes: str) -> None:
    without = [f"--without={name}" for name in NAMES]
    done = run(suite, *without, "--numprocesses", processes)
    assert " 1 passed, 3 deselected in " in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), ("--numprocesses=2",)])
def test_a_run_that_cannot_have_a_program_stops_before_the_first_test(
    suite: Path, options: tuple[str, ...], bare: Path
) -> None:
    done = run(suite, "--bring", "--without=chromium", *options, ARGS="-k 'a or b'")
    assert " passed" not in done.stdout
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip().startswith("ERROR: missing: Prometheus, which cannot be fetched (127.0.0.1:9: ")
    assert done.stderr.strip().endswith(
        """, or run everything else: make test WITHOUT='chromium prometheus' ARGS='-k '"'"'a or b'"'"''"""
    )


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_tests_of_an_optional_program_are_left_out_if_it_cannot_be_had(
    suite: Path, processes: str, bare: Path
) -> None:
    server, _ = program(bare / "prometheus"), program(bare / "promtool")
    done = run(suite, "--bring", "--without=chromium", "--numprocesses", processes)
    assert " 2 passed, 2 deselected in " in done.stdout, done.stdout + done.stderr
    assert f"using Prometheus ({server}), without Alertmanager, whose tests are left out" in done.stdout


def test_a_run_of_an_optional_program_alone_is_no_error_without_it(suite: Path, bare: Path) -> None:
    done = run(suite, "--bring", "-k", "message")
    assert " 4 deselected in " in done.stdout, done.stdout + done.stderr
    assert (
        "without Alertmanager, whose tests are left out (Debian: apt install prometheus-alertmanager)" in done.stdout
    )
    assert done.returncode == 0


def test_a_wrong_expression_is_the_error_and_nothing_is_brought(suite: Path, bare: Path) -> None:
    done = run(suite, "--bring", "-k", "two words")
    assert "Wrong expression passed to '-k'" in done.stderr
    assert "missing: " not in done.stderr


def test_a_run_of_which_nothing_is_left_is_no_error(suite: Path) -> None:
    done = run(suite, "--without=chromium", "-k", "page")
    assert " 4 deselected in " in done.stdout
    assert done.returncode == 0


def test_an_unknown_program_is_an_error(suite: Path) -> None:
    done = run(suite, "--without=promtool")
    assert done.stderr.strip() == (
        "ERROR: WITHOUT=promtool is not valid: use one or more of chromium, prometheus, alertmanager"
    )


def test_nothing_is_brought_for_tests_that_need_nothing(suite: Path, bare: Path) -> None:
    done = run(suite, "--bring", "-k", "neither")
    assert " 1 passed, 3 deselected in " in done.stdout, done.stdout + done.stderr


def test_the_command_for_everything_else_is_short_if_it_can_be(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARGS", raising=False)
    monkeypatch.setattr(pytestconfig.option, "without", [])
    for target in ("test", "test-tools"):
        monkeypatch.setattr(pytestconfig.option, "bring", target)
        assert everything_else(pytestconfig, ["chromium"]) == f"make {target} WITHOUT=chromium"
