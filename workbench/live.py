"""`make live`: waits until the code in the files answers on all replicas, or says what refused it.

Exit status: 0 if it answers; 1 if a replica refuses it, if it takes longer than --within, or if there is no replica;
2 for wrong arguments. With --json, the answer is one object on stdout:

    {"live": true, "version": "0a1b2c3d", "replicas": {"service-1": 84.2},
     "costs": ["GET /things: 1 -> 21 statements"], "api": ["GET /things: answer field name removed (breaks clients)"]}
    {"live": false, "version": "0a1b2c3d", "replica": "service-1", "file": "service/app.py", "line": 3,
     "error": "NameError: name 'a' is not defined"}

`replicas` has the milliseconds of each one's last reload, from the save to the first answer; 0.0 after a start.
`costs` and `api` are what that reload has changed: all of it, where the supervisor's line may leave out some.
`file` and `line` are there if the error has a place, and `replica` if one refused the code.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.machine.checkout import Checkout
from workbench.machine.env_file import ENV_FILE
from workbench.machine.folders import data_folder, display_path, verdicts_folder
from workbench.reload import code
from workbench.reload.receipt import Receipt
from workbench.reload.verdict import Verdict, decode

Ask = Callable[[], Mapping[str, Verdict]]
"""The verdict of each replica, by its name."""

_EVERY = 0.02  # s


def main(ask: Ask, variables: Path | None = None, every: float = _EVERY) -> int:
    """`variables` is the file that the replicas read settings from, which can change what their code does."""
    parser = argparse.ArgumentParser(prog="make live ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--within", type=float, default=60.0, metavar="SECONDS", help="default 60")
    arguments = parser.parse_args()
    try:
        answer = wait(ask, arguments.within, variables, every)
    except WorkbenchError as error:
        if not arguments.json:
            sys.stderr.write(f"make live: {error}\n")
            return 1
        answer = {"live": False, "error": str(error)}
    sys.stdout.write(f"{json.dumps(answer) if arguments.json else sentence(answer)}\n")
    return 0 if answer["live"] else 1


def wait(ask: Ask, within: float, variables: Path | None, every: float = _EVERY) -> dict[str, Any]:
    """The object that --json prints, asking `every` so many seconds. Raises WorkbenchError if there is no replica."""
    deadline = time.monotonic() + within
    while True:
        verdicts, version, saved = ask(), code.version(code.read()), _saved(variables)
        for name, verdict in verdicts.items():
            head = Path(verdict.git, "HEAD") if verdict.git else None
            if refusal := verdict.refuses(version, max(saved, _saved(head))):
                return {"live": False, "version": version, "replica": name, **refusal.place()}
        if all(verdict.serving == version and _is_here(verdict) for verdict in verdicts.values()):
            replicas = {name: round(verdict.seconds * 1000, 1) for name, verdict in verdicts.items()}
            # Each replica measures its own requests, and all have the same API.
            receipts = [verdict.receipt for verdict in verdicts.values()]
            costs = [*dict.fromkeys(cost for receipt in receipts for cost in receipt.costs)]
            api = [*dict.fromkeys(change for receipt in receipts for change in receipt.api)]
            return {"live": True, "version": version, "replicas": replicas, "costs": costs, "api": api}
        if time.monotonic() > deadline:
            older = ", ".join(
                f"{name} serves {verdict.serving or 'nothing'}" + f" of {verdict.branch}" * bool(verdict.branch)
                for name, verdict in verdicts.items()
                if verdict.serving != version or not _is_here(verdict)
            )
            return {"live": False, "version": version, "error": f"not within {within:g} s: {older}"}
        time.sleep(every)


def sentence(answer: Mapping[str, Any]) -> str:
    """What wait() returns, as a line for people."""
    if answer["live"]:
        times = ", ".join(f"{name} after {ms:g} ms" if ms else name for name, ms in answer["replicas"].items())
        receipt = str(Receipt(answer["costs"], answer["api"]))
        return f"version {answer['version']} answers: {times}{f'; {receipt}' if receipt else ''}"
    place = f"{answer['file']}:{answer['line']}: " if "file" in answer else ""
    state = f"is refused by {answer['replica']}" if "replica" in answer else "is not live"
    return f"version {answer['version']} {state}: {place}{answer['error']}"


def of_workbench(data: Path) -> dict[str, Verdict]:
    """The verdicts of the `make dev` that runs on `data`. Raises WorkbenchError if none runs."""
    found = {}
    for file in sorted(verdicts_folder(data).glob("*.json")):
        with suppress(OSError):  # it ends just now
            found[file.stem] = decode(file.read_text())
    if not found:
        raise WorkbenchError(
            f"no workbench runs on {display_path(data)}: start it with `make dev`, or set DATA= to its data folder"
        )
    return found


def _is_here(verdict: Verdict) -> bool:
    """Whether it uses the database of the branch that is checked out, if it follows the branch."""
    branch = Checkout(Path(verdict.git)).branch() if verdict.git else None
    return branch in (None, verdict.branch)


def _saved(file: Path | None) -> float:
    try:
        return file.stat().st_mtime if file else 0.0
    except OSError:
        return 0.0


if __name__ == "__main__":
    sys.exit(main(lambda: of_workbench(data_folder(os.environ)), ENV_FILE))
