"""A process that is forked ahead of time and has done the costly first things before it is needed.

Half of what a fork spends on its imports is the copying of memory pages, as each is written to for the first time. So
the preforked process defines some models, an application and routes like those of a service, and throws them away.
One that is forked for the next save has also imported the service, see ahead.py.
"""

import dataclasses
import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Literal, NoReturn

from workbench.reload import new_process, protocol
from workbench.reload.ahead import ImportedAhead
from workbench.reload.protocol import StartRequest
from workbench.reload.snapshot import Snapshot

_IMPORTED_WITHIN = 60  # s; code that hangs would otherwise do so for ever, where nobody sees it


class PreforkedProcess:
    """The template's view of it."""

    def __init__(
        self, leave_template: Callable[[], None], snapshot: Snapshot, service: StartRequest | None = None
    ) -> None:
        """Fork. The fork calls `leave_template` at once, and takes the snapshot anew when it starts.

        With `service`, it imports what that request needs. It ends before it is warm if that cannot be done ahead.
        """
        self.version = snapshot.version
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _wait_for_request(theirs, leave_template, snapshot, service)
        theirs.close()
        self._socket = ours

    def is_warm(self) -> bool:
        """Whether its preparation is complete. Never blocks."""
        return protocol.is_warm(self._socket)

    def start(self, line: bytes, descriptors: list[int]) -> str | None:
        """Pass it an encoded StartRequest. Returns the version of its code; None if another process has to do it.

        Raises OSError if it has ended. It cannot be used again.
        """
        with self._socket:
            self._socket.sendall(protocol.send_descriptors(self._socket, line, descriptors))
            return protocol.receive_version(self._socket)

    def close(self) -> None:
        """Let it exit, if it still runs and waits."""
        self._socket.close()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.close()


def _wait_for_request(
    connection: socket.socket, leave_template: Callable[[], None], snapshot: Snapshot, service: StartRequest | None
) -> NoReturn:
    try:
        leave_template()
        with suppress(Exception):
            _warm_up()
        imported = _import_ahead(service, snapshot) if service else None
        connection.sendall(protocol.WARM)
        line, descriptors = protocol.receive_request(connection)
        if line:
            snapshot.take()
            if imported and not imported.becomes(StartRequest.decode(line), snapshot):
                connection.sendall(protocol.DECLINED)
                os._exit(0)
            connection.sendall(snapshot.version.encode())
            connection.close()
            new_process.become(line, descriptors, snapshot)
    except Exception as error:
        new_process.explain(type(error), error, error.__traceback__)
    finally:
        os._exit(1)


def _import_ahead(service: StartRequest, snapshot: Snapshot) -> ImportedAhead:
    signal.alarm(_IMPORTED_WITHIN)
    try:
        imported = ImportedAhead(service, snapshot)
    except BaseException:  # the process that is to serve meets the same, and reports it
        os._exit(1)
    signal.alarm(0)
    return imported


def _warm_up() -> None:
    import pydantic
    from quart import Blueprint, Quart
    from quart_schema import QuartSchema

    gc.disable()

    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

        number: Annotated[float, pydantic.Field(ge=0)] = pydantic.Field(1, description="a number")
        choice: Literal["one", "another"] = "one"
        secret: pydantic.SecretStr | None = None

    @dataclasses.dataclass(frozen=True, slots=True)
    class Data:
        number: int

    blueprint = Blueprint("rehearsal", __name__)

    @blueprint.get("/<uuid:key>")
    async def route(key: str) -> str:
        return key

    app = Quart(__name__, static_folder=None)
    QuartSchema(app)
    app.register_blueprint(blueprint)
