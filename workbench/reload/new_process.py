"""What runs in a new process before the service: load the code from its sources, explain an error in one line.

    python -m workbench.reload.new_process service

starts a module in a fresh interpreter; a fork of the template calls become().
"""

import os
import runpy
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from workbench.reload import debugging, protocol
from workbench.reload.code import PACKAGE, ROOT
from workbench.reload.snapshot import Snapshot

MAX_FRAMES = 10
"""How many lines of a traceback are shown at most."""


def run(command: str, snapshot: Snapshot) -> None:
    """Run a module and its arguments as `python -m` does. Returns or raises SystemExit when it ends."""
    module, *arguments = command.split()
    snapshot.install()
    sys.excepthook = explain
    sys.argv = [module, *arguments]
    debugging.begin()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def become(line: bytes, descriptors: list[int], snapshot: Snapshot) -> NoReturn:
    """In a fork: do what an encoded StartRequest asks for, then exit. Never returns to the template's loop."""
    status = 1
    try:
        request = protocol.StartRequest.decode(line)
        stderr, *inherited = descriptors
        os.dup2(stderr, 2)
        os.close(stderr)
        os.environ.clear()
        os.environ.update(request.environment)
        os.environ[protocol.VERSION] = snapshot.version
        os.environ.update(protocol.inherited_variables(request.inherited, inherited))
        run(request.command, snapshot)
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
        else:
            status = end.code or 0
    except BaseException as error:
        explain(type(error), error, error.__traceback__)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(status)


def explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write an error to stderr: file, line and message first, then the traceback without other packages' frames."""
    frames = [frame for frame in traceback.extract_tb(trace) if Path(frame.filename).is_relative_to(ROOT / PACKAGE)]
    summary = "".join(traceback.format_exception_only(error)).strip()
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{_shown(error.filename)}:{error.lineno}: "
        summary = f"{kind.__name__}: {error.msg}\n    {(error.text or '').strip()}"
    elif frames:
        where = f"{_shown(frames[-1].filename)}:{frames[-1].lineno}: "
    lines = [where + summary]
    for frame in frames[: -MAX_FRAMES - 1 : -1]:
        lines.append(f"    {frame.line}    ({_shown(frame.filename)}:{frame.lineno}, {frame.name})")
    if len(frames) > MAX_FRAMES:
        lines.append(f"    and {len(frames) - MAX_FRAMES} more")
    if not where:  # none of the service's files is involved, so every frame may matter
        lines += "".join(traceback.format_tb(trace)).splitlines()
    sys.stderr.write("\n".join(lines) + "\n")


def _shown(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else filename


if __name__ == "__main__":
    run(sys.argv[1], Snapshot())
