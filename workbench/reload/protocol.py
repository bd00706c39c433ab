"""The wire formats between the supervisor, the template, a preforked process and a process of the service.

1. Control socket, supervisor <-> template (template.py). Each message is one line of JSON. The supervisor sends one
   StartRequest at a time, with file descriptors beside its first byte, and waits for Started. The template sends
   Warm once, Started for each request, and Ended for each process that ends. It exits when the supervisor closes
   the socket.

2. Prefork socket, template <-> preforked process (prefork.py). The preforked process sends the byte WARM when it is
   ready to start. Then it gets one StartRequest, like the template, and answers with the version of the code that it
   runs, VERSION_LENGTH characters, or with DECLINED if another process has to do it. Then it exits, and so it does
   when the template closes the socket.

3. Notifications, service -> supervisor. Datagrams of sd_notify(3) to the Unix socket in NOTIFY_SOCKET, one or more
   lines each: `STATUS=text`, `X_STAGE=name`, `X_REHEARSED=text`, `READY=1`, `X_COMPARED=list or null`,
   `X_HANDED_OVER=number`. service/handover/notify.py sends them without importing anything from here; a test
   compares both. Other lines are ignored.

4. Variables of a process of the service. INHERITED are the names of sockets that all processes share, each with the
   value `fd://NUMBER`. SERVICE_VERSION is the version of the code, SERVICE_METRICS_FILE a file whose metrics the
   service adds to its own, SERVICE_REHEARSAL_SOCKET the path at which the serving process hands its last requests
   to the next one, and NOTIFY_SOCKET the path for 3. SERVICE_LISTEN=told lets the process accept only after
   SIGUSR1; states.py has the signals.
"""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

# 1. The control socket.

_MAX_DESCRIPTORS = 8  # of one request: stderr and INHERITED


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Run `python -m command` with exactly the variables of `environment` and one more for each inherited socket.

    The descriptors beside it are the new process's stderr, then one for each name in `inherited`.
    """

    command: str
    """A module and its arguments."""
    environment: Mapping[str, str]
    inherited: Sequence[str]

    def encode(self) -> bytes:
        return _line(asdict(self))

    @classmethod
    def decode(cls, line: bytes) -> "StartRequest":
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Warm:
    """The template has imported the packages and can fork."""


@dataclass(frozen=True, slots=True)
class Started:
    """The answer to a StartRequest: the process, and the version of the code that it runs."""

    pid: int
    version: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A started process has ended; `status` is its exit status, or minus the number of the signal that killed it."""

    pid: int
    status: int


Answer: TypeAlias = Warm | Started | Ended

_ANSWERS: Mapping[str, type[Answer]] = {kind.__name__: kind for kind in (Warm, Started, Ended)}


def encode_answer(answer: Answer) -> bytes:
    return _line({"answer": type(answer).__name__, **asdict(answer)})


def decode_answer(line: bytes) -> Answer:
    fields = json.loads(line)
    return _ANSWERS[fields.pop("answer")](**fields)


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def send_descriptors(connection: socket.socket, line: bytes, descriptors: Sequence[int]) -> bytes:
    """Send the descriptors with the first byte of `line`. Returns the rest, which the caller has to send."""
    socket.send_fds(connection, [line[:1]], descriptors)
    return line[1:]


def receive_request(connection: socket.socket) -> tuple[bytes, list[int]]:
    """One encoded StartRequest and its descriptors; an empty line when the other end is closed."""
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        try:
            data, received, _, _ = socket.recv_fds(connection, 65536, _MAX_DESCRIPTORS)
        except ConnectionResetError:  # the other end was closed before it read all that was sent to it
            data = b""
        if not data:
            return b"", []
        line += data
        descriptors += received
    return line, descriptors


# 2. The prefork socket.

WARM = b"w"
VERSION_LENGTH = 8
DECLINED = b"-" * VERSION_LENGTH


def is_warm(connection: socket.socket) -> bool:
    """Whether the preforked process has sent WARM. Never blocks."""
    with suppress(OSError):
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == WARM
    return False


def receive_version(connection: socket.socket) -> str | None:
    """What a preforked process answers to a StartRequest: None if it declines.

    Raises ConnectionResetError if it has ended.
    """
    answer = b""
    while len(answer) < len(WARM) + VERSION_LENGTH:
        if not (more := connection.recv(64)):
            raise ConnectionResetError("the preforked process ended")
        answer += more
    answer = answer.removeprefix(WARM)
    return None if answer == DECLINED else answer.decode()


# 3. Notifications.


@dataclass(frozen=True, slots=True)
class Status:
    """What the process is doing, in words: its state and the readiness checks that fail."""

    text: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A step on the way to readiness has been reached, such as `imported`."""

    name: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The rehearsal has left out something."""

    remark: str
    """A part of a line, such as `9 of 10 requests rehearsed`."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The process has taken over, and has compared its costs with those of the process before."""

    costs: Sequence[str] | None
    """Parts of a line, such as `GET /: 1 -> 21 statements`; None if it keeps no requests."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The process can serve: it accepts, or does so as soon as it gets SIGUSR1."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """After SIGHUP: the process accepts nothing any more and has passed on its idle connections."""

    answered: int
    """How many requests it has answered since its start."""


Notification: TypeAlias = Status | Stage | Rehearsed | Compared | Ready | HandedOver


def decode_notifications(datagram: bytes) -> Iterator[Notification]:
    for line in datagram.decode(errors="replace").splitlines():
        match line.partition("="):
            case "STATUS", _, text:
                yield Status(text)
            case "X_STAGE", _, name:
                yield Stage(name)
            case "X_REHEARSED", _, remark:
                yield Rehearsed(remark)
            case "X_COMPARED", _, costs:
                yield Compared(json.loads(costs))
            case "READY", _, "1":
                yield Ready()
            case "X_HANDED_OVER", _, answered:
                yield HandedOver(int(answered))


# 4. Variables.

API_BIND = "SERVICE_API_BIND"
OPS_BIND = "SERVICE_OPS_BIND"
GIVE_CONNECTIONS = "SERVICE_GIVE_CONNECTIONS"
TAKE_CONNECTIONS = "SERVICE_TAKE_CONNECTIONS"
INHERITED = (API_BIND, OPS_BIND, GIVE_CONNECTIONS, TAKE_CONNECTIONS)
"""The two listening sockets, and the two ends of the queue in which connections change over to another process."""

VERSION = "SERVICE_VERSION"
LISTEN, TOLD = "SERVICE_LISTEN", "told"
METRICS_FILE = "SERVICE_METRICS_FILE"
REHEARSAL_SOCKET = "SERVICE_REHEARSAL_SOCKET"
NOTIFY_SOCKET = "NOTIFY_SOCKET"


def inherited_variables(names: Sequence[str], descriptors: Sequence[int]) -> dict[str, str]:
    """The variables that name inherited descriptors."""
    return {name: f"fd://{descriptor}" for name, descriptor in zip(names, descriptors, strict=True)}
