"""`make dev` starts a part again that has ended, as a cluster does."""

import asyncio
import time

from workbench.console import Console
from workbench.errors import PartFailed, PartStopped, WorkbenchError
from workbench.parts.process import Part, describe, failed
from workbench.reload.retry import Retry
from workbench.stack import Component, Stack

MOST_ENDS = 5
"""In a row: each within 30 s of the start before it, with pauses of 0, 0.5, 1 and 2 s. An accident is over by then.
A full disk, for example, is not: that needs a person, who should find the reason in the last lines."""

SAME_SIGNAL_WITHIN = 2.0  # seconds from the end of a part until the signal that ended it arrives here too


async def keep_running(stack: Stack, console: Console) -> WorkbenchError:
    """Starts the parts of a stack again until one of them does not stay. Returns the error that says so."""
    keeping = [
        asyncio.create_task(_keep(component, component.part, console))
        for component in stack.components
        if component.part
    ]
    try:
        given_up, _ = await asyncio.wait(keeping, return_when=asyncio.FIRST_COMPLETED)
        return given_up.pop().result()
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)  # a start in progress is undone before all parts stop


async def _keep(component: Component, part: Part, console: Console) -> WorkbenchError:
    retry = Retry()
    while True:
        since = time.monotonic()
        status = await part.wait()
        error: WorkbenchError | None = failed(status, f"{part.name} ended unexpectedly, {describe(status)}")
        pause = retry.after_crash(since)
        while retry.crashes < MOST_ENDS and (error := await _start(component, part.name, error, pause, console)):
            pause = retry.after_crash()
        if error:
            return PartFailed(
                f"{error}, {MOST_ENDS} times in a row, so the rest was stopped: "
                "look for the reason in its last lines above, then start again"
            )
        part = component.part or part


async def _start(
    component: Component, name: str, ended: WorkbenchError | None, pause: float, console: Console
) -> WorkbenchError | None:
    """Starts a part after a pause. Returns the error if it does not run."""
    if isinstance(ended, PartStopped):  # a process manager may have sent the signal to all processes
        await asyncio.sleep(SAME_SIGNAL_WITHIN)
    after = f" after {pause:g} s" if pause else ""
    try:
        with console.step(name, f"{str(ended).removeprefix(f'{name} ')}: starting it again{after}", slow=True):
            await asyncio.sleep(pause)
            await component.start()
    except (WorkbenchError, OSError) as error:
        if not (component.part and component.part.running):
            return error if isinstance(error, WorkbenchError) else PartFailed(f"{name} does not start: {error}")
        console.say(f"{name} runs again, but {error}")  # what it needs may be missing for other reasons
    return None
