"""A plugin of pytest for programs that some tests need: `--bring` fetches them, `--without` leaves those tests out.

`make test` and `make test-tools` load it with `-p`, so that its options also exist where no conftest.py does.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.console import Console
from workbench.errors import WorkbenchError
from workbench.programs import alertmanager, prometheus
from workbench.programs.bring import NAMES, Missing, absent, bring

NEEDS = {
    "browser": "chromium",
    "playwright": "chromium",  # nothing else drives a Chromium, and it lacks a library on some machines
    "prometheus_programs": "prometheus",
    "alertmanager_programs": "alertmanager",
}
"""The fixtures that need a program."""
LEFT_OUT = "left out"  # the number of tests, from a process of pytest-xdist to the one that counts
COUNTED = pytest.StashKey[bool]()
NOTHING_LEFT = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def prometheus_programs() -> prometheus.Programs:
    """The test fails without them, because nothing can be checked then."""
    programs = prometheus.find()
    if programs is None:
        pytest.fail(
            "the tests of metrics and alerts need Prometheus: make test brings it, "
            "make test WITHOUT=prometheus leaves them out",
            pytrace=False,
        )
    return programs


@pytest.fixture(scope="session")
def alertmanager_programs() -> alertmanager.Programs:
    """The test fails without them; a run with --bring leaves it out then, and says so."""
    programs = alertmanager.find()
    if programs is None:
        pytest.fail(
            "the tests of alerting need Alertmanager: make test brings Debian's package or leaves them out, "
            "ALERTMANAGER=/path AMTOOL=/path name it",
            pytrace=False,
        )
    return programs


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("programs")
    group.addoption(
        "--bring",
        nargs="?",
        const="test",
        metavar="TARGET",
        help="fetch what the tests need and the machine lacks; TARGET of make runs these tests",
    )
    group.addoption("--without", action="append", default=[], help="leave out the tests that need this program")


def pytest_configure(config: pytest.Config) -> None:
    """With several processes, this one knows no test: it brings all programs before the others start."""
    for name in config.getoption("without"):
        if name not in NAMES:
            raise pytest.UsageError(f"WITHOUT={name} is not valid: use one or more of {', '.join(NAMES)}")
    if config.getoption("dist", "no") != "no" and not _is_worker(config):
        _bring(config, [name for name in NAMES if name not in config.getoption("without")])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    without = set(config.getoption("without"))
    if _is_worker(config) and config.getoption("bring"):  # the process that counts has brought what it could
        without |= absent()
    _leave_out(config, items, without)


def pytest_collection_finish(session: pytest.Session) -> None:
    collected = sys.exc_info()[0] is None  # pytest calls this also after an error, such as a wrong -k
    config = session.config
    if collected and not _is_worker(config):
        needed = set[str]().union(*map(needs, session.items))
        _bring(config, [name for name in NAMES if name in needed])
        if config.getoption("bring") and not config.getoption("collectonly"):
            _leave_out(config, session.items, needed & absent())


def _leave_out(config: pytest.Config, items: list[pytest.Item], without: set[str]) -> None:
    left_out = [item for item in items if needs(item) & without]
    if left_out:
        items[:] = [item for item in items if not needs(item) & without]
        config.stash[NOTHING_LEFT] = not items
        config.hook.pytest_deselected(items=left_out)
        if _is_worker(config):
            config.workeroutput[LEFT_OUT] = len(left_out)  # type: ignore[attr-defined]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run of which nothing is left has done what it was asked for."""
    nothing_left = session.config.getoption("without") or session.config.stash.get(NOTHING_LEFT, False)
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and nothing_left:
        session.exitstatus = pytest.ExitCode.OK


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """For the summary: pytest-xdist does not tell what its processes leave out, which is the same in each of them."""
    left_out = getattr(node, "workeroutput", {}).get(LEFT_OUT, 0)
    if left_out and not node.config.stash.get(COUNTED, False):
        node.config.stash[COUNTED] = True
        node.config.hook.pytest_deselected(items=[SimpleNamespace() for _ in range(left_out)])


def needs(item: pytest.Item) -> set[str]:
    return {NEEDS[fixture] for fixture in getattr(item, "fixturenames", ()) if fixture in NEEDS}


def _bring(config: pytest.Config, names: Sequence[str]) -> None:
    if not names or not config.getoption("bring") or config.getoption("collectonly"):
        return
    try:
        bring(names, Console())
    except Missing as error:
        raise pytest.UsageError(f"{error}, or run everything else: {everything_else(config, error.names)}") from None
    except WorkbenchError as error:
        raise pytest.UsageError(str(error)) from None


def everything_else(config: pytest.Config, missing: Sequence[str]) -> str:
    """The command that runs all tests of this run, except those that need one of the programs."""
    target = config.getoption("bring") or "test"
    variables = {
        "WITHOUT": " ".join(dict.fromkeys([*config.getoption("without"), *missing])),
        "ARGS": os.environ.get("ARGS"),  # make puts the variables of its command line there
    }
    given = [f"{name}={shlex.quote(value)}" for name, value in variables.items() if value]
    return " ".join([f"make {target}", *given])


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
