"""What other processes ask the running one, over its Unix socket. Each question is a line, and so is each answer.

requests       its last requests, a line each, then an empty line
replay NUMBER  replays one of those, the first is 0; a Replay
describe       the OpenAPI document of its code
statements     the names and the texts of all its SQL, for service/migrate/
show TEXT      GET / shows the text from now on; no answer
same VERSION   code of this version describes the same API as the running one; no answer
same           the last such version
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from service.rehearsal.cost import Cost
from service.rehearsal.player import Outcome, Player
from service.rehearsal.recorder import Recorder, Request
from service.rehearsal.statements import statements

LONGEST_LINE = 2**24


@dataclass(frozen=True, slots=True)
class Replay:
    status: int
    failed: bool
    cost: Cost | None


class RunningProcess:
    """The running process, as a new one sees it. Raises OSError if it has ended, TimeoutError if it is busy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, within: float) -> None:
        self._reader = reader
        self._writer = writer
        self._within = within

    @classmethod
    async def at(cls, path: str, within: float) -> "RunningProcess":
        """`within` seconds it has to answer, each time."""
        async with asyncio.timeout(within):
            return cls(*await asyncio.open_unix_connection(path, limit=LONGEST_LINE), within)

    async def requests(self) -> list[Request]:
        async with asyncio.timeout(self._within):
            self._writer.write(b"requests\n")
            requests = []
            while line := (await self._line()).strip():
                requests.append(Request.decode(line))
            return requests

    async def replay(self, number: int) -> Replay:
        async with asyncio.timeout(self._within):
            self._writer.write(b"replay %d\n" % number)
            fields = orjson.loads(await self._line())
            return Replay(fields["status"], fields["failed"], fields["cost"] and Cost(**fields["cost"]))

    async def same(self) -> str:
        """The last version that describes the same API, as the supervisor says; empty if it has named none."""
        async with asyncio.timeout(self._within):
            self._writer.write(b"same\n")
            return (await self._line()).strip().decode()

    def close(self) -> None:
        self._writer.close()

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the running process has ended")
        return line


class Answers:
    """The other side: the running process answers."""

    def __init__(
        self, recorder: Recorder, player: Player, describe: Callable[[], Any], show: Callable[[str], None]
    ) -> None:
        """`describe` makes the OpenAPI document. It may take a while: a thread runs it."""
        self._recorder = recorder
        self._player = player
        self._describe = describe
        self._show = show
        self._same = b""

    async def to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the other side closes the connection."""
        requests: list[Request] = []
        try:
            while line := await reader.readline():
                question, _, rest = line.strip().partition(b" ")
                match question:
                    case b"requests":
                        requests = self._recorder.requests
                        writer.writelines([*(request.encode() for request in requests), b"\n"])
                    case b"replay":
                        writer.write(_encode(await self._player.play(requests[int(rest)])))
                    case b"describe":
                        document = await asyncio.to_thread(self._describe)
                        writer.write(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS) + b"\n")
                    case b"statements":
                        writer.write(orjson.dumps(statements()) + b"\n")
                    case b"show":
                        self._show(rest.decode())
                    case b"same" if rest:
                        self._same = rest
                    case b"same":
                        writer.write(self._same + b"\n")
        except (OSError, asyncio.CancelledError):
            pass  # one of both processes ends; Python 3.11 reports a handler that is cancelled as an error
        finally:
            writer.close()


def _encode(outcome: Outcome) -> bytes:
    return orjson.dumps(asdict(Replay(outcome.status, outcome.failed, outcome.cost))) + b"\n"
