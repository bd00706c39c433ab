"""`make dev`: runs the whole stack until Ctrl-C. options.py lists the variables that configure it.

Exit status: 0 after Ctrl-C, SIGTERM or a closed terminal, 1 after an error, 2 for an invalid option.
"""

import os
import signal
import sys

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

if __name__ == "__main__":
    for number in STOPS:  # until serve() handles these signals; there is nothing to clean up yet
        signal.signal(number, lambda *_: os._exit(0))

import asyncio
import shlex
import time
from contextlib import suppress

from workbench.console import Console
from workbench.errors import PartStopped, UsageError, WorkbenchError
from workbench.identity.registered import passwords_of, read
from workbench.machine.folders import data_folder, display_path
from workbench.manifests import Manifests
from workbench.options import StackOptions, from_environment
from workbench.programs import prometheus
from workbench.programs.bring import Missing, bring
from workbench.project import NAME
from workbench.restarts import SAME_SIGNAL_WITHIN, keep_running
from workbench.stack import Stack

ONE_PRESS = 0.5  # seconds in which SIGINTs are one press of Ctrl-C: `timeout -s INT` sends two at once


def main() -> int:
    console = Console()
    try:
        if os.environ.get("PROMETHEUS") == "yes" and prometheus.server() is None:
            bring(("prometheus",), console)
        asyncio.run(serve(from_environment(os.environ), console))
    except Missing as error:
        sys.stderr.write(f"make dev: {error}, or start without it: make dev PROMETHEUS=no\n")
        return 1
    except WorkbenchError as error:
        sys.stderr.write(f"make dev: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    return 0


async def serve(options: StackOptions, console: Console) -> None:
    """Runs until a signal asks to stop. A person's second Ctrl-C kills the parts that have not ended yet."""
    begin = time.monotonic()
    stack = Stack(options, console)
    serving = asyncio.create_task(_run(stack, console, begin))
    asked = asyncio.Event()
    asked_at = 0.0

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked_at
        if not asked.is_set():
            asked.set()
            asked_at = time.monotonic()
            console.say("\nstopping (Ctrl-C again kills)")
            if not stack.stopping:
                serving.cancel()
        elif kills(number, time.monotonic() - asked_at):
            stack.kill_now()

    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    try:
        await serving
    except asyncio.CancelledError:
        pass
    except WorkbenchError as error:
        if not await _is_from_a_signal(error, asked):
            raise
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # everything has ended: one more would print a traceback
    console.say(f"stopped; the data stays in {display_path(options.data)}")


def kills(number: signal.Signals, seconds: float) -> bool:
    """Whether a signal is a person's second Ctrl-C, so many seconds after the first signal that asked to stop.

    Other signals repeat the first one: `timeout` and most process managers send SIGTERM to make and to the workbench,
    and make passes it on. A process manager that loses its patience sends SIGKILL.
    """
    return number == signal.SIGINT and seconds > ONE_PRESS


async def _is_from_a_signal(error: WorkbenchError, asked: asyncio.Event) -> bool:
    """Whether a part ended in its start by a signal that comes here too, as systemd sends it to all processes."""
    if not isinstance(error, PartStopped) and not isinstance(error.__cause__, PartStopped):
        return False
    with suppress(TimeoutError):
        async with asyncio.timeout(SAME_SIGNAL_WITHIN):
            await asked.wait()
    return asked.is_set()


async def _run(stack: Stack, console: Console, begin: float) -> None:
    manifests = Manifests(stack, console)
    async with stack:
        console.say(_welcome(stack, time.monotonic() - begin))
        taking = asyncio.create_task(manifests.keep_taking())
        try:
            raise await keep_running(stack, console)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)


def _welcome(stack: Stack, seconds: float) -> str:
    first = stack.replicas[0]
    prometheus = f"\n  metrics and alerts    {stack.prometheus.url}" if stack.prometheus else ""
    debugger = f"\n  debugger              attach to localhost:{stack.debug_port}" if stack.debug_port else ""
    canary = ", ".join(replica.name for replica in stack.replicas[:-1])
    versions = (
        f"\n  versions              canary: your files ({canary})  stable: {stack.stable}" if stack.stable else ""
    )
    options = stack.options
    sign_in, ready = _who_can_sign_in(stack), f"curl {stack.ingress_url}/"
    if stack.identity:
        token = (
            "make token" if options.data == data_folder({}) else f"make token DATA={shlex.quote(str(options.data))}"
        )
        ready = f'curl -H "Authorization: Bearer $({token})" {stack.ingress_url}/'
    return f"""
{NAME} is running; the start took {seconds:.1f} s. Ctrl-C stops it.

  through the ingress   {stack.ingress_url}
  API documentation     {stack.ingress_url}/docs
  health and metrics    http://localhost:{first.ops_port}/readyz  http://localhost:{first.ops_port}/metrics{prometheus}{debugger}{versions}
  database              psql {shlex.quote(stack.postgres.url("app_rw"))}{sign_in}

  try: {ready}
"""


def _who_can_sign_in(stack: Stack) -> str:
    """The users of the identity provider, with their passwords."""
    options = stack.options
    if options.provider is None:
        return ""
    users = read(options.provider, stack.ingress_url).users
    passwords = passwords_of(users, options.secrets)
    text = ""
    for user in users:
        name = f"{user.id} ({', '.join(user.roles)})" if user.roles else user.id
        text += f"\n  {'' if text else 'sign in as':<20}  {name:<15} password {passwords[user.id]}"
    return text


if __name__ == "__main__":
    sys.exit(main())
