"""The migrations are applied before code that may need them serves."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from workbench.reload import code
from workbench.reload.candidate import NotReadyError, SupersededError, reason
from workbench.reload.service_environment import OWNER_URL
from workbench.reload.spawner import Spawner
from workbench.reload.tasks import first_of

_WITHIN = 300.0  # s


class Migrations:
    """Applied when the files or the database are others. Those of the supervisor's start were applied before it."""

    def __init__(self, spawner: Spawner, url: str) -> None:
        """`url` is that of the database at the start."""
        self._spawner = spawner
        self._applied = {(url, code.version(code.migrations(code.read())))}

    async def apply(
        self,
        files: Mapping[Path, bytes],
        environment: Mapping[str, str],
        stopping: asyncio.Event,
        moved: Callable[[], bool],
    ) -> None:
        """Raises NotReadyError if one fails, which leaves the schema as it was before that file; SupersededError.

        Applies nothing if `moved` says that the files in the folder are no longer those for this database.
        """
        wanted = environment[OWNER_URL], code.version(code.migrations(files))
        if wanted in self._applied:
            return
        process = await self._spawner.spawn("service.migrate", environment)
        if moved():
            process.send(signal.SIGKILL)
            raise SupersededError
        await first_of(stopping, process.ended, timeout=_WITHIN)
        if not process.ended.done():
            process.send(signal.SIGKILL)
            if stopping.is_set():
                raise SupersededError
            raise NotReadyError(f"the migration did not finish within {_WITHIN:g} s", process)
        if process.ended.result() != 0:
            raise NotReadyError(reason(process), process)
        self._applied.add(wanted)
