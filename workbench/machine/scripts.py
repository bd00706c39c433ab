"""The scripts of a virtual environment, in a folder of a project that was moved or copied.

pip writes the path of the environment's Python into each of them. After a move that Python is gone; after a copy it
is the one of the other folder, with the packages of that one.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

# As pip writes it, the second way where the first one does not work. Not other interpreters, such as /bin/sh.
_HEAD = re.compile(
    rb"""#!(?:/bin/sh\n'''exec' "?(?P<long>/[^"\n]*/python[^/"\n]*?)"? "\$0" "\$@"\n' '''"""
    rb"""|(?P<short>/[^\n]*/python[^/\n]*))\n"""
)
_MAX_SHORT = 127  # bytes, of older kernels

# With the Python of the environment, as each version writes them in its own way: `activate`, for several shells.
_ACTIVATE = "import sys, venv; b = venv.EnvBuilder(); b.setup_scripts(b.ensure_directories(sys.argv[1]))"


def former(environment: Path) -> Path | None:
    """Where the environment was when its scripts were written, if that is not where it is now."""
    python, _ = _parts(environment / "bin" / "pip")
    if python is None:
        return None
    try:
        same = python.parent.samefile(environment / "bin")  # one folder may have several paths
    except OSError:
        same = False
    return None if same else python.parents[1]


def adapt(environment: Path, was: Path) -> None:
    """Lets all scripts run the Python of this environment.

    `pip` is the last one, so that `former` still notices an adaption that was interrupted.
    """
    here = environment.resolve() / "bin"
    subprocess.run((here / "python", "-I", "-c", _ACTIVATE, here.parent), check=True)
    for script in sorted(here.iterdir(), key=lambda path: path.name == "pip"):
        python, rest = _parts(script)
        if python is not None and python.parent == was / "bin":
            new = script.with_name(f".{script.name}.new")
            new.write_bytes(_head(here / python.name) + rest)
            shutil.copymode(script, new)
            new.replace(script)


def _parts(script: Path) -> tuple[Path | None, bytes]:
    """The Python that runs the script, and what it runs; no Python if it is something else."""
    if script.is_symlink() or not script.is_file():
        return None, b""
    text = script.read_bytes()
    head = _HEAD.match(text)
    return (Path(os.fsdecode(head["long"] or head["short"])), text[head.end() :]) if head else (None, text)


def _head(python: Path) -> bytes:
    path = os.fsencode(python)
    short = b"#!" + path + b"\n"
    if len(short) <= _MAX_SHORT and b" " not in path:
        return short
    return b"#!/bin/sh\n'''exec' \"" + path + b'" "$0" "$@"\n\' \'\'\'\n'
