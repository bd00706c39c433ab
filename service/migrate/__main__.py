"""`python -m service.migrate`, see the package.

SIGTERM and SIGINT cancel the running statement: its file is rolled back, the files before it stay applied.

`--wait` retries while the database is not up yet, without end or for `--wait SECONDS`. `--trial` says that the
database is a copy: what is said of each migration is said as of a trial, and what was applied is not.
"""

import argparse
import asyncio
import math
import os
import signal
import sys

from service.database.schema import text
from service.migrate.apply import run
from service.migrate.files import DIRECTORY, Migration, MigrationError, expected_version
from service.settings import Settings, SettingsError, load


async def _run_until_stopped(settings: Settings, wait: float, prefix: str) -> list[Migration]:
    def say(line: str) -> None:
        sys.stderr.write(f"{prefix}{line}\n")

    running = asyncio.create_task(run(settings, DIRECTORY, wait, say))
    # The first process of a container ignores SIGTERM unless it has a handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        raise MigrationError(
            "stopped by a signal, and the file in progress was rolled back, unless it has a line "
            "`-- no-transaction`; run it again"
        ) from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m service.migrate", description="Bring the schema up to date.")
    parser.add_argument(
        "--wait",
        type=float,
        nargs="?",
        default=0,
        const=math.inf,
        metavar="SECONDS",
        help="retry while the database is not up yet, without end or that long",
    )
    parser.add_argument(
        "--trial", action="store_true", help="the database is a copy: print only what to know before it is done"
    )
    options = parser.parse_args()
    prefix = "migrate: trial: " if options.trial else "migrate: "
    try:
        settings = load(os.environ, strict=False)
        applied = asyncio.run(_run_until_stopped(settings, options.wait, prefix))
    except (SettingsError, MigrationError) as error:
        sys.stderr.write(f"migrate: {error}\n")
        return 1
    if options.trial:
        return 0
    for migration in applied:
        sys.stdout.write(f"migrate: applied {migration.file}\n")
    sys.stdout.write(f"migrate: the schema is at version {text(expected_version())}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
