"""Compares the code that has taken over with the code before: what its routes cost, and the API that it describes.

All of it but foresee() happens after the new code has answered, and ends as soon as there is something else to do.
The new process tells the costs by itself. It describes its API at the socket at which it also hands over its last
requests (SERVICE_REHEARSAL_SOCKET); service/rehearsal/running.py has the questions.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from workbench.reload import bodies
from workbench.reload.api_changes import changes
from workbench.reload.receipt import Receipt
from workbench.reload.service_process import Description, ServiceProcess
from workbench.reload.target import Target
from workbench.reload.tasks import first_of

_WITHIN = 30.0  # s; the new code serves meanwhile
_FORESEES_WITHIN = 2.0  # s; the new code waits meanwhile
_LONGEST_LINE = 2**24


class Comparison:
    def __init__(self, path: str | None) -> None:
        """`path` is that of the socket; without one nothing is compared."""
        self._path = path

    async def learn(self, first: ServiceProcess, files: Mapping[Path, bytes]) -> None:
        """Keep what the first process describes, for the next one. `files` are those that it runs."""
        first.description = await self._description(first, None, files)

    async def foresee(self, old: ServiceProcess | None, candidate: ServiceProcess, target: Target) -> None:
        """Spare the rehearsal the document of the API, which takes long to make, if it is that of the old process."""
        if (
            self._path is not None
            and old is not None
            and old.description is not None
            and old.environment == target.environment
            and candidate.version == target.version  # a file may have changed since it was read
            and bodies.same_import(old.description.files, target.files)
        ):
            await self._ask(f"same {candidate.version}", _FORESEES_WITHIN)

    async def receipt(
        self, old: ServiceProcess, new: ServiceProcess, files: Mapping[Path, bytes], *others: asyncio.Event
    ) -> Receipt:
        """What has changed, as far as it is known when one of the other events is set; `files` are the new ones."""
        # If there is no time now, the next reload tells this change of the API too.
        before = new.description = old.description
        describing = asyncio.create_task(self._description(new, before, files))
        await first_of(describing, new.ended, *others)
        if not describing.done():
            describing.cancel()
            return Receipt(new.costs)
        new.description = describing.result()
        api = changes(before.document, new.description.document) if before and new.description else []
        receipt = Receipt(new.costs, [str(change) for change in api])
        if str(receipt):
            await self._ask(f"show {receipt}")
        return receipt

    async def _description(
        self, process: ServiceProcess, known: Description | None, files: Mapping[Path, bytes]
    ) -> Description | None:
        """The process's own, or the known one if that cannot differ."""
        if self._path is None or not await self._compares(process):
            return known
        if known is not None and bodies.same_import(known.files, files):
            return known
        answer = await self._ask("describe")
        return Description(files, json.loads(answer)) if answer else known

    @staticmethod
    async def _compares(process: ServiceProcess) -> bool:
        """Whether it takes questions: not if it rehearses nothing."""
        await first_of(process.compared, process.ended, timeout=_WITHIN)
        return process.compared.is_set() and process.rehearses

    async def _ask(self, question: str, within: float = _WITHIN) -> bytes:
        """Its answer, empty if there is none."""
        try:
            async with asyncio.timeout(within):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST_LINE)
                try:
                    writer.write(f"{question}\n".encode())
                    writer.write_eof()
                    return await reader.readline()
                finally:
                    writer.close()
        except OSError:  # TimeoutError too
            return b""
