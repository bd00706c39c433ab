"""The wire formats of workbench/reload/protocol.py, and that the service speaks the same."""

import asyncio
import inspect
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.handover.notify import Notifier
from service.lifecycle import State
from service.settings import PREFIX, Settings
from tests.waiting import WITHIN
from workbench.reload import protocol
from workbench.reload.protocol import (
    Answer,
    Compared,
    Ended,
    HandedOver,
    Notification,
    Ready,
    Stage,
    Started,
    StartRequest,
    Warm,
)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_request_arrives_with_its_descriptors(ends: tuple[socket.socket, socket.socket]) -> None:
    request = StartRequest("service", {"LONG": "ä" * 200_000}, ["A", "B"])
    sender, receiver = ends

    def send() -> None:
        sender.sendall(protocol.send_descriptors(sender, request.encode(), [sender.fileno(), receiver.fileno()]))

    with ThreadPoolExecutor() as thread:  # it is more than the socket holds
        sending = thread.submit(send)
        line, descriptors = protocol.receive_request(receiver)
        sending.result()
    assert StartRequest.decode(line) == request
    assert [os.fstat(descriptor).st_ino for descriptor in descriptors] == [
        os.fstat(end.fileno()).st_ino for end in ends
    ]
    for descriptor in descriptors:
        os.close(descriptor)

    sender.close()
    assert protocol.receive_request(receiver) == (b"", [])


@pytest.mark.parametrize("answer", [Warm(), Started(7, "0123abcd"), Ended(7, -9)])
def test_answers_of_the_template(answer: Answer) -> None:
    line = protocol.encode_answer(answer)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert protocol.decode_answer(line) == answer


def test_a_preforked_process_is_warm_and_answers_with_its_version(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    template, preforked = ends
    assert not protocol.is_warm(template)
    preforked.sendall(protocol.WARM)
    assert protocol.is_warm(template)
    preforked.sendall(b"0123")
    preforked.sendall(b"abcd")
    assert protocol.receive_version(template) == "0123abcd"

    preforked.close()
    assert not protocol.is_warm(template)
    with pytest.raises(ConnectionResetError):
        protocol.receive_version(template)


def test_a_preforked_process_may_decline(ends: tuple[socket.socket, socket.socket]) -> None:
    template, preforked = ends
    preforked.sendall(protocol.WARM + protocol.DECLINED)
    assert protocol.receive_version(template) is None


def test_the_service_sends_the_notifications_that_the_supervisor_reads(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.setblocking(False)
        notifier = Notifier(str(tmp_path / "notify"))

        def received() -> list[Notification]:
            return list(protocol.decode_notifications(supervisor.recv(65536)))

        notifier.status(State.STARTING, "database: no answer")
        assert received() == [protocol.Status("starting: database: no answer")]
        notifier.status(State.READY, "")
        assert received() == [protocol.Status("ready")]
        notifier.stage("imported")
        assert received() == [Stage("imported")]
        notifier.rehearsing("GET /")
        assert received() == [protocol.Status("rehearsing GET /")]
        notifier.rehearsed("9 of 10 requests rehearsed")
        assert received() == [protocol.Rehearsed("9 of 10 requests rehearsed")]
        notifier.ready()
        assert received() == [Ready()]
        notifier.compared(["GET /: 1 -> 2 statements"])
        assert received() == [Compared(["GET /: 1 -> 2 statements"])]
        notifier.compared(None)
        assert received() == [Compared(None)]
        notifier.handed_over(42)
        assert received() == [HandedOver(42)]
        notifier._socket.close()  # otherwise it lives as long as its process

    methods = {name for name, _ in inspect.getmembers(Notifier, inspect.isfunction) if not name.startswith("_")}
    assert methods == {"status", "stage", "rehearsing", "rehearsed", "ready", "compared", "handed_over"}, (
        "one of them is not tried above"
    )


async def test_a_supervisor_that_reads_late_misses_only_statuses(tmp_path: Path) -> None:
    """On a busy machine, while a rehearsal reports each of many requests. Without READY the code never serves."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.setblocking(False)
        notifier = Notifier(str(tmp_path / "notify"))
        for number in range(300):
            notifier.rehearsing(f"GET /{number}")
        notifier.ready()
        for number in range(300):
            notifier.stage(f"stage {number}")

        received: list[Notification] = []
        while Stage("stage 299") not in received:
            async with asyncio.timeout(WITHIN):
                datagram = await loop.sock_recv(supervisor, 65536)
            received += protocol.decode_notifications(datagram)
        others = [one for one in received if not isinstance(one, protocol.Status)]
        assert others == [Ready(), *(Stage(f"stage {number}") for number in range(300))]
        assert received[-302] == protocol.Status("rehearsing GET /299"), "the newest status"

        supervisor.close()
        notifier.ready()  # nobody learns it, and nothing happens
        notifier._socket.close()  # otherwise it lives as long as its process


def test_there_is_no_request_from_an_end_that_was_closed(ends: tuple[socket.socket, socket.socket]) -> None:
    """As at Ctrl-C: the template ends before it has read that the preforked process is warm."""
    template, preforked = ends
    preforked.sendall(protocol.WARM)
    template.close()

    assert protocol.receive_request(preforked) == (b"", [])


def test_several_lines_in_a_datagram_and_unknown_ones() -> None:
    datagram = b"MAINPID=1\nREADY=1\n\nSTATUS=a=b\nREADY=0"
    assert list(protocol.decode_notifications(datagram)) == [Ready(), protocol.Status("a=b")]


def test_the_service_knows_the_variables_that_it_gets() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert {
        *protocol.INHERITED,
        protocol.VERSION,
        protocol.LISTEN,
        protocol.METRICS_FILE,
        protocol.REHEARSAL_SOCKET,
    } <= known
    assert protocol.inherited_variables(["SERVICE_API_BIND"], [7]) == {"SERVICE_API_BIND": "fd://7"}
    Settings.model_validate(
        {
            variable.removeprefix(PREFIX).lower(): value
            for variable, value in {
                **protocol.inherited_variables(protocol.INHERITED, range(len(protocol.INHERITED))),
                protocol.LISTEN: protocol.TOLD,
            }.items()
        }
    )
