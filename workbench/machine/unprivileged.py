"""PostgreSQL refuses to run as root, so for root it runs as `nobody`.

Its program and its data may lie below a folder that `nobody` cannot enter, such as /root. On Linux the process
therefore keeps one capability, the least that lets it pass: to read and search everything. Containers often lack
that one and have the stronger CAP_DAC_OVERRIDE; without either it is tried without.
"""

import os
import pwd
import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.machine import linux

USER = "nobody"


def needed() -> bool:
    return os.geteuid() == 0


def owner() -> int:
    """The user id that PostgreSQL runs with, which must own its data."""
    return _account().pw_uid if needed() else os.geteuid()


def hand_over(folder: Path) -> None:
    """Makes the folder belong to the user that PostgreSQL runs as."""
    if needed():
        user = _account()
        try:
            os.chown(folder, user.pw_uid, user.pw_gid)
        except OSError as error:
            raise _impossible(error.strerror) from error


def become() -> None:
    """Turns this process of root into one of the unprivileged user. Raises WorkbenchError if root may not here."""
    user = _account()
    try:
        _become(user)
    except OSError as error:
        raise _impossible(error.strerror) from error


def _become(user: pwd.struct_passwd) -> None:
    passes = _capability_to_pass() if sys.platform == "linux" else None
    if passes is not None:
        linux.keep_capabilities_on_setuid()
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if passes is not None:
        linux.keep_only(passes)


def _capability_to_pass() -> int | None:
    weakest_first = (linux.CAP_DAC_READ_SEARCH, linux.CAP_DAC_OVERRIDE)
    return next((capability for capability in weakest_first if linux.has_capability(capability)), None)


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        raise _impossible("no such user") from None


def _impossible(reason: str | None) -> WorkbenchError:
    return WorkbenchError(
        f"PostgreSQL does not run as root, and root cannot become {USER} here ({reason}): run as another user"
    )
