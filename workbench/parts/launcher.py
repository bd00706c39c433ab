"""Prepares a process for a part's program, then replaces itself with that program.

    python -m workbench.parts.launcher PARENT SIGNAL (same|unprivileged) COMMAND...

The part keeps the launcher's process id. On Linux the kernel sends SIGNAL to the part when PARENT, the workbench, has
ended, even after `kill -9`. Other systems cannot do that.
"""

import os
import sys

from workbench.errors import WorkbenchError
from workbench.machine import linux, unprivileged


def main(parent: str, on_orphaned: str, user: str, *command: str) -> None:
    try:
        if user == "unprivileged":
            unprivileged.drop_privileges()
    except WorkbenchError as error:
        sys.exit(str(error))
    if sys.platform == "linux":
        linux.signal_on_parent_death(int(on_orphaned))
        if os.getppid() != int(parent):
            sys.exit("the workbench has ended")
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"user {os.geteuid()} cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
