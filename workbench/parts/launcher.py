"""The last step before a part's program.

    python -m workbench.parts.launcher PARENT SIGNAL (same|unprivileged) COMMAND...

It replaces itself by COMMAND, so the part keeps its process id. On Linux the kernel sends SIGNAL to the part when
PARENT, the workbench, is gone, even by `kill -9`. Other systems have nothing like it.
"""

import os
import sys

from workbench.errors import WorkbenchError
from workbench.machine import linux, unprivileged


def main(parent: str, on_orphaned: str, user: str, *command: str) -> None:
    try:
        if user == "unprivileged":
            unprivileged.become()
    except WorkbenchError as error:
        sys.exit(str(error))
    if sys.platform == "linux":
        linux.signal_on_parent_death(int(on_orphaned))
        if os.getppid() != int(parent):
            sys.exit("the workbench is gone")
    try:
        os.execv(command[0], command)  # noqa: S606 - as it is, without a shell
    except OSError as error:
        sys.exit(f"user {os.geteuid()} cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
