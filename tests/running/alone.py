"""After a run with failures: the commands that run each failed test alone."""

import os
import shlex
from collections.abc import Mapping

import pytest

VARIABLES = ("SERVICE_SERVER", "INGRESS_URL")
"""They choose what is tested."""


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = terminalreporter.stats
    failed = {report.nodeid: None for kind in ("failed", "error") for report in stats.get(kind, ())}
    if failed:
        terminalreporter.section("alone")
        for test in failed:
            terminalreporter.write_line(command(test, os.environ))


def command(test: str, variables: Mapping[str, str]) -> str:
    """The command for a shell. The test may have characters in its name that make or the shell know."""
    chosen = "".join(f"{name}={shlex.quote(variables[name])} " for name in VARIABLES if variables.get(name))
    argument = shlex.quote(test).replace("$", "$$")
    quoted = shlex.quote(argument) if {*argument} & {*'"$`\\!'} else f'"{argument}"'
    return f"{chosen}make test ARGS={quoted}"
