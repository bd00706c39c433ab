"""Programs that a variable names."""

import os
import shutil

from workbench.errors import UsageError


def named(variable: str) -> str | None:
    """The path of the program that a variable of the environment names. Raises UsageError if it is none."""
    name = os.environ.get(variable)
    if not name:
        return None
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"{variable}={name} is not a program: use the path of one, or leave {variable} out")
    return found
