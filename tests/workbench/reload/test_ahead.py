"""A process that has imported the service ahead of time: when it can become that of a later save."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.reload.code import ROOT

MODULE = """
import os
import pathlib

GREETING = os.environ.get("GREETING", "")
WORDS = (pathlib.Path(__file__).parent / "words.txt").read_text()

async def answer():
    return f"{GREETING}, {WORDS}"
"""
FILES = {
    "__init__.py": "",
    "__main__.py": "import service.module\n",
    "module.py": MODULE,
    "later.py": "NUMBER = 1\n",
    "words.txt": "old words",
}
PROGRAM = """
import asyncio, importlib, json, sys
from workbench.reload.ahead import ImportedAhead, NotAhead
from workbench.reload.code import ROOT
from workbench.reload.protocol import StartRequest
from workbench.reload.snapshot import Snapshot

edits, environment, call = json.loads(sys.argv[1])
snapshot = Snapshot()
snapshot.take()
imported = ImportedAhead(StartRequest("service", {"GREETING": "hello", "NOTIFY_SOCKET": "one"}, []), snapshot)
for name, content in edits.items():
    (ROOT / "service" / name).write_text(content) if content else (ROOT / "service" / name).unlink()
snapshot.take()
becomes = imported.becomes(StartRequest("service", environment, []), snapshot)
module = importlib.import_module(call.partition(":")[0])
result = getattr(module, call.partition(":")[2])
print(json.dumps([becomes, asyncio.run(result()) if callable(result) else result]))
"""
SAME = {"GREETING": "hello", "NOTIFY_SOCKET": "another"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A service of two modules, and what is needed to import it ahead of time."""
    for path in (ROOT / "workbench" / "__init__.py", *(ROOT / "workbench" / "reload").glob("*.py")):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "service").mkdir()
    for name, content in FILES.items():
        (tmp_path / "service" / name).write_text(content)
    return tmp_path


def run(
    project: Path, edits: dict[str, str], environment: dict[str, str], call: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([edits, environment, call])],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("edits", "environment", "call", "result"),
    [
        ({}, SAME, "service.module:answer", "hello, old words"),
        ({"module.py": MODULE.replace("{WORDS}", "new")}, SAME, "service.module:answer", "hello, new"),
        ({"later.py": "NUMBER = 1  # a comment\n"}, SAME, "service.later:NUMBER", 1),
    ],
)
def test_it_becomes_what_was_saved(
    project: Path, edits: dict[str, str], environment: dict[str, str], call: str, result: object
) -> None:
    done = run(project, edits, environment, call)

    assert json.loads(done.stdout) == [True, result], done.stderr


@pytest.mark.parametrize(
    ("edits", "environment"),
    [
        ({"module.py": MODULE.replace('"")', '"nobody")')}, SAME),
        ({"module.py": MODULE.replace("import os", "import os, sys")}, SAME),
        ({"module.py": "1 +"}, SAME),
        ({"words.txt": "new words"}, SAME),
        ({"more.py": "MORE = 1\n"}, SAME),
        ({"later.py": ""}, SAME),
        ({}, {"GREETING": "good morning"}),
        ({}, {**SAME, "MORE": "1"}),
    ],
)
def test_what_needs_another_import_needs_another_process(
    project: Path, edits: dict[str, str], environment: dict[str, str]
) -> None:
    done = run(project, edits, environment, "service.module:GREETING")

    assert json.loads(done.stdout) == [False, "hello"], done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "print('imported')",
        "import sys; sys.stderr.write('imported')",
        "kept = open(__file__)",
        "import threading, time; threading.Thread(target=time.sleep, args=[60], daemon=True).start()",
        "import asyncio; HELLO = asyncio.run(answer())",
        "[*answer().__await__()]",
    ],
)
def test_an_import_that_does_more_than_define_is_left_to_the_process_that_serves(project: Path, line: str) -> None:
    (project / "service" / "module.py").write_text(f"{MODULE}\n{line}\n")

    done = run(project, {}, SAME, "service.module:answer")

    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("workbench.reload.ahead.NotAhead")
    assert "imported" not in done.stdout + done.stderr.partition("Traceback")[0]
