"""python -m workbench.programs [chromium] [prometheus] [alertmanager]: brings these programs, or all of them."""

import sys

from workbench.console import Console
from workbench.errors import UsageError, WorkbenchError
from workbench.programs.bring import NAMES, bring

if __name__ == "__main__":
    chosen = sys.argv[1:] or NAMES
    try:
        if unknown := set(chosen) - set(NAMES):
            raise UsageError(f"{', '.join(sorted(unknown))}: the programs are {', '.join(NAMES)}")
        bring(chosen, Console())
    except WorkbenchError as error:
        sys.stderr.write(f"make: {error}\n")
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
