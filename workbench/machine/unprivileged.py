"""Runs PostgreSQL as `nobody` if the workbench runs as root, because PostgreSQL refuses to run as root.

Its program and its data may lie in a folder that `nobody` cannot enter, such as /root. On Linux the process therefore
keeps one capability: CAP_DAC_READ_SEARCH, to read and search everything. Containers often lack it but have the
stronger CAP_DAC_OVERRIDE. If it has neither, the process runs without a capability.
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
    """The id of the user that PostgreSQL runs as, who must own its data."""
    return _account().pw_uid if needed() else os.geteuid()


def chown(folder: Path) -> None:
    """Makes the user that PostgreSQL runs as the owner of the folder."""
    if needed():
        user = _account()
        try:
            os.chown(folder, user.pw_uid, user.pw_gid)
        except OSError as error:
            raise _not_allowed(error.strerror) from error


def drop_privileges() -> None:
    """Changes the user of this process from root to `nobody`. Raises WorkbenchError if that is not allowed here."""
    user = _account()
    try:
        _drop_privileges(user)
    except OSError as error:
        raise _not_allowed(error.strerror) from error


def _drop_privileges(user: pwd.struct_passwd) -> None:
    kept = _capability_to_keep() if sys.platform == "linux" else None
    if kept is not None:
        linux.keep_capabilities_on_setuid()
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if kept is not None:
        linux.keep_only(kept)


def _capability_to_keep() -> int | None:
    weakest_first = (linux.CAP_DAC_READ_SEARCH, linux.CAP_DAC_OVERRIDE)
    return next((capability for capability in weakest_first if linux.has_capability(capability)), None)


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        raise _not_allowed("this user does not exist") from None


def _not_allowed(reason: str | None) -> WorkbenchError:
    return WorkbenchError(
        f"PostgreSQL refuses to run as root, and root cannot become {USER} here ({reason}): run as another user"
    )
