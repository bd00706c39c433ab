"""A fork that was made ahead of time and has rehearsed its part: what it does first costs less when it counts.

Half of what a fork spends on its imports is the copying of memory pages, as each is written to for the first time.
The rehearsal defines some models, an application and routes, like those of a service, and throws them away.
"""

import dataclasses
import gc
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Literal, NoReturn

from workbench.reload import child, code

_WARM = b"w"
_VERSION = 8  # characters

Become = Callable[[bytes, list[int]], NoReturn]


class Spare:
    """The template's side of it."""

    def __init__(self, prepare: Callable[[], None], become: Become) -> None:
        """Forks. `prepare` and `become` are called in the fork: at once, and with a request and its descriptors."""
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _stand_by(theirs, prepare, become)
        theirs.close()
        self._socket = ours

    def is_warm(self) -> bool:
        """Whether its rehearsal is over; an answer that it has not, costs nothing."""
        with suppress(OSError):
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == _WARM
        return False

    def start(self, line: bytes, descriptors: list[int]) -> str:
        """Let it become what the request says; the version of the code that it runs. Raises OSError if it is gone."""
        with self._socket:
            socket.send_fds(self._socket, [line[:1]], descriptors)
            self._socket.sendall(line[1:])
            answer = b""
            while len(answer) < len(_WARM) + _VERSION:
                if not (more := self._socket.recv(64)):
                    raise ConnectionResetError("the spare process ended")
                answer += more
            return answer.removeprefix(_WARM).decode()

    def close(self) -> None:
        """It ends at the end of its socket."""
        self._socket.close()


def receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """One line and the descriptors beside it; an empty line at the end."""
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        data, received, _, _ = socket.recv_fds(connection, 65536, 8)
        if not data:
            return b"", []
        line += data
        descriptors += received
    return line, descriptors


def take_snapshot() -> str:
    """Read the files that a fork then runs; their version."""
    files = code.read()
    child.take_snapshot(files)
    return code.version(files)


def _stand_by(connection: socket.socket, prepare: Callable[[], None], become: Become) -> NoReturn:
    try:
        prepare()
        with suppress(Exception):
            _rehearse()
        connection.sendall(_WARM)
        line, descriptors = receive(connection)
        if line:
            connection.sendall(take_snapshot().encode())
            connection.close()
            become(line, descriptors)
    finally:
        os._exit(1)


def _rehearse() -> None:
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
