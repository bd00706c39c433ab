"""The migrations are tried on a copy of the database, then applied, before code that may need them serves."""

import asyncio
import signal
from collections.abc import Callable, Mapping

from workbench.parts import trial
from workbench.reload import code
from workbench.reload.candidate import NotReadyError, SupersededError, reason
from workbench.reload.protocol import REHEARSAL_SOCKET
from workbench.reload.service_environment import OWNER_URL
from workbench.reload.service_process import ServiceProcess
from workbench.reload.spawner import Spawner
from workbench.reload.target import Target
from workbench.reload.tasks import first_of

_WITHIN = 300.0  # s
_COMMAND = "service.migrate"


class Migrations:
    """Applied when the files or the database are others. Those of the supervisor's start were applied before it."""

    def __init__(self, spawner: Spawner, url: str, say: Callable[[str], None]) -> None:
        """`url` is that of the database at the start."""
        self._spawner = spawner
        self._say = say
        self._applied = {(url, code.version(code.migrations(code.read())))}

    async def apply(
        self,
        target: Target,
        serving: ServiceProcess | None,
        stopping: asyncio.Event,
        moved: Callable[[], bool],
    ) -> None:
        """Raises NotReadyError if one fails, which leaves the schema as it was before that file; SupersededError.

        The statements of `serving` have to work on the new schema, if that process uses the same database. Applies
        nothing if `moved` says that the files in the folder are no longer those for this database.
        """
        environment = target.environment
        wanted = environment[OWNER_URL], code.version(code.migrations(target.files))
        if wanted in self._applied:
            return
        if serving and serving.environment[OWNER_URL] != environment[OWNER_URL]:
            environment = {name: value for name, value in environment.items() if name != REHEARSAL_SOCKET}

        async def run(command: str, environment: Mapping[str, str]) -> None:
            process = await self._spawner.spawn(command, environment)
            if moved():
                process.send(signal.SIGKILL)
                raise SupersededError
            await _end(process, stopping)

        if server := environment.get(trial.SERVER):
            try:
                async with trial.copied(server, environment) as leading_to_copy:
                    await run(f"{_COMMAND} --trial", leading_to_copy)
            except trial.CopyError as error:
                self._say(f"the migrations are applied without a trial: there is no copy of the database: {error}")
        await run(_COMMAND, environment)
        self._applied.add(wanted)


async def _end(process: ServiceProcess, stopping: asyncio.Event) -> None:
    """Raises NotReadyError if it fails, and SupersededError if the supervisor stops."""
    await first_of(stopping, process.ended, timeout=_WITHIN)
    if not process.ended.done():
        process.send(signal.SIGKILL)
        if stopping.is_set():
            raise SupersededError
        raise NotReadyError(f"the migration did not finish within {_WITHIN:g} s", process)
    if process.ended.result() != 0:
        raise NotReadyError(reason(process), process)
