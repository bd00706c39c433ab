"""A failed test says how to run it alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running.alone import command

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["plain", "two words", "it's", 'a "b"', "$(HOME)", "$HOME", "a;b"])
def test_the_command_selects_this_test(name: str) -> None:
    """make and its shell hand on the name as it is."""
    shown = command(f"tests/test_x.py::test[{name}]", {"SERVICE_SERVER": "uvicorn"})
    arguments = f"{shown} VENV_PYTHON='{sys.executable} -c \"import sys; print(sys.argv[-1:])\"' PYTHON=true"

    # Without the variables of the `make test` that runs this test.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(  # noqa: S602
        arguments, shell=True, cwd=ROOT, env=inherited, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == str([f"tests/test_x.py::test[{name}]"])


def test_a_run_with_a_failure_ends_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_y(): assert False\n")
    options = ("-p", "tests.running.alone", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", tmp_path)

    done = subprocess.run(
        (sys.executable, "-m", "pytest", *options), cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert f"{command('test_x.py::test_y', {})}\n" in done.stdout
