"""A minimal GET request that shows whether a server on this machine answers."""

import asyncio
import time
from collections.abc import Collection

from workbench.errors import PartFailed

READY_WITHIN = 180.0
"""s; a part needs a second, and minutes where others use every core. Nobody waits for a part that has ended."""
ANSWER_WITHIN = 2.0
FIRST_PAUSE, MAX_PAUSE = 0.01, 0.1


async def until_ok(
    port: int, path: str, within: float, max_pause: float = MAX_PAUSE, *, statuses: Collection[str] = ("200",)
) -> None:
    """Repeats the request until the answer has one of the statuses.

    Raises PartFailed with the last answer after `within` seconds.
    """
    deadline = time.monotonic() + within
    pause = FIRST_PAUSE
    while (answer := await _get(port, path)) not in statuses:
        if time.monotonic() > deadline:
            raise PartFailed(
                f"http://localhost:{port}{path} did not answer {' or '.join(statuses)} within {within:g} s; "
                f"its last answer was {answer}"
            )
        await asyncio.sleep(pause)
        pause = min(2 * pause, max_pause)


async def _get(port: int, path: str) -> str:
    """The status of the answer, or the error if there was no answer."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: workbench\r\n"
                    "Connection: close\r\n\r\n".encode()
                )
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    words = status.decode(errors="replace").split()
    return words[1] if len(words) > 1 else "empty"
