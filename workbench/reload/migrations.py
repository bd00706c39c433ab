"""The migrations are tried on a copy of the database, then applied, before code that may need them serves."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from workbench.parts import trial
from workbench.reload import code
from workbench.reload.candidate import NotReadyError, SupersededError, reason
from workbench.reload.spawner import Spawner
from workbench.reload.tasks import first_of

_WITHIN = 300.0  # s
_COMMAND = "service.migrate"


class Migrations:
    """Applied when their files have changed. Those of the supervisor's start were applied before it."""

    def __init__(self, spawner: Spawner, say: Callable[[str], None]) -> None:
        self._spawner = spawner
        self._say = say
        self._applied = code.version(code.migrations(code.read()))

    async def apply(
        self, files: Mapping[Path, bytes], environment: Mapping[str, str], stopping: asyncio.Event
    ) -> None:
        """Raises NotReadyError if one fails, which leaves the schema as it was before that file; SupersededError."""
        wanted = code.version(code.migrations(files))
        if wanted == self._applied:
            return
        if server := environment.get(trial.SERVER):
            await self._try(server, environment, stopping)
        await self._run(_COMMAND, environment, stopping)
        self._applied = wanted

    async def _try(self, server: str, environment: Mapping[str, str], stopping: asyncio.Event) -> None:
        try:
            async with trial.copied(server, environment) as leading_to_copy:
                await self._run(f"{_COMMAND} --trial", leading_to_copy, stopping)
        except trial.CopyError as error:
            self._say(f"the migrations are applied without a trial: there is no copy of the database: {error}")

    async def _run(self, command: str, environment: Mapping[str, str], stopping: asyncio.Event) -> None:
        process = await self._spawner.spawn(command, environment)
        await first_of(stopping, process.ended, timeout=_WITHIN)
        if not process.ended.done():
            process.send(signal.SIGKILL)
            if stopping.is_set():
                raise SupersededError
            raise NotReadyError(f"the migration did not finish within {_WITHIN:g} s", process)
        if process.ended.result() != 0:
            raise NotReadyError(reason(process), process)
