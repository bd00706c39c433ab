"""Alertmanager and its checker, amtool: only as they are installed, or as Debian's packages bring them."""

import shutil
from typing import NamedTuple

from workbench.programs import lookup

PACKAGE = "prometheus-alertmanager"

_NAMES = ("alertmanager", PACKAGE)  # the makers' and Debian's


class Programs(NamedTuple):
    """Paths."""

    alertmanager: str
    amtool: str


def find() -> Programs | None:
    """Those that ALERTMANAGER and AMTOOL name, or else those on the PATH. Raises UsageError for an invalid variable."""
    server = lookup.named("ALERTMANAGER") or next((path for name in _NAMES if (path := shutil.which(name))), None)
    checker = lookup.named("AMTOOL") or shutil.which("amtool")
    return Programs(server, checker) if server and checker else None
