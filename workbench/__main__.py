"""`make dev`: runs the whole stack until Ctrl-C. options.py lists the variables that configure it.

Exit status: 0 after Ctrl-C, SIGTERM or a closed terminal, 1 after an error, 2 for an invalid option.
"""

import signal
import sys

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

if __name__ == "__main__":
    for number in STOPS:  # exit without a traceback, until serve() handles these signals
        signal.signal(number, lambda *_: sys.exit(0))

import asyncio
import os
import shlex
import time

from workbench.console import Console
from workbench.errors import UsageError, WorkbenchError
from workbench.machine.folders import display_path
from workbench.options import StackOptions, from_environment
from workbench.project import NAME
from workbench.stack import Stack


def main() -> int:
    console = Console()
    try:
        asyncio.run(serve(from_environment(os.environ), console))
    except WorkbenchError as error:
        sys.stderr.write(f"make dev: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    return 0


async def serve(options: StackOptions, console: Console) -> None:
    """Runs until a signal asks to stop. A second signal kills the parts that have not ended yet."""
    begin = time.monotonic()
    stack = Stack(options, console)
    serving = asyncio.create_task(_run(stack, console, begin))
    stopping = False

    def interrupt() -> None:
        nonlocal stopping
        if stopping:
            stack.kill_now()
            return
        stopping = True
        console.say("\nstopping (Ctrl-C again kills)")
        serving.cancel()

    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        await serving
    except asyncio.CancelledError:
        console.say(f"stopped; the data stays in {display_path(options.data)}")


async def _run(stack: Stack, console: Console, begin: float) -> None:
    async with stack:
        console.say(_welcome(stack, time.monotonic() - begin))
        raise await stack.failure()


def _welcome(stack: Stack, seconds: float) -> str:
    first = stack.replicas[0]
    prometheus = f"\n  metrics and alerts    {stack.prometheus.url}" if stack.prometheus else ""
    debugger = f"\n  debugger              attach to localhost:{stack.debug_port}" if stack.debug_port else ""
    return f"""
{NAME} is running; the start took {seconds:.1f} s. Ctrl-C stops it.

  through the ingress   {stack.ingress_url}
  API documentation     {stack.ingress_url}/docs
  health and metrics    http://localhost:{first.ops_port}/readyz  http://localhost:{first.ops_port}/metrics{prometheus}{debugger}
  database              psql {shlex.quote(stack.postgres.url("app_rw"))}

  try: curl {stack.ingress_url}/
"""


if __name__ == "__main__":
    sys.exit(main())
