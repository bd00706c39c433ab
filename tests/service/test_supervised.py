"""A process under a supervisor, such as the workbench's reload or systemd: its messages, and when it accepts."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.databases import Database, migrate
from tests.service.processes import service_process
from tests.waiting import WITHIN, eventually


class Supervisor:
    """Receives the messages of the process, in the protocol of sd_notify(3)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self.path))

    async def until(self, start: str, text: str = "") -> None:
        """Waits for a message that starts with `start` and contains `text`."""
        async with asyncio.timeout(WITHIN):
            while True:
                message = (await asyncio.get_running_loop().sock_recv(self._socket, 4096)).decode()
                if message.startswith(start) and text in message:
                    return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path)
    yield supervisor
    supervisor.close()


async def test_with_listen_ready_it_listens_only_once_it_is_ready(
    empty_database: Database, supervisor: Supervisor
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        api_port = free.getsockname()[1]
    async with service_process(
        empty_database,
        module="service",
        SERVICE_LISTEN="ready",
        SERVICE_API_BIND=f"127.0.0.1:{api_port}",
        NOTIFY_SOCKET=str(supervisor.path),
    ) as process:
        await supervisor.until("STATUS=starting", "python -m service.migrate")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", api_port)

        await migrate(empty_database)
        await supervisor.until("READY=1")

        _, writer = await asyncio.open_connection("127.0.0.1", api_port)
        writer.close()
        process.send(signal.SIGINT)
        await supervisor.until("STATUS=draining")
        assert await process.status() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_can_be_stopped_before_it_is_ready(
    empty_database: Database, supervisor: Supervisor, number: signal.Signals
) -> None:
    async with service_process(
        empty_database, SERVICE_LISTEN="ready", SERVICE_DRAIN_DELAY="0.05", NOTIFY_SOCKET=str(supervisor.path)
    ) as process:
        await supervisor.until("STATUS=starting")

        process.send(number)

        assert await process.status() == 0


async def test_after_sighup_another_process_can_accept_and_after_sigusr1_this_one_does(database: Database) -> None:
    async with service_process(database, share=True) as process:
        await process.ready()
        path = await process.create()  # on a connection that stays open
        process.send(signal.SIGHUP)

        async def is_handed_over() -> bool:
            return "connection" in (await process.api.get(path)).headers

        await eventually(is_handed_over, "the open connection is closed with its next response")
        for _ in range(20):  # if the service still accepted, the test would not win all of these by chance
            await accept_one(process.shared[0])

        answer = asyncio.create_task(process.api.get(path))
        process.send(signal.SIGUSR1)

        assert (await answer).status_code == 200
        assert "connection" not in (await process.api.get(path)).headers


async def accept_one(listener: socket.socket) -> None:
    """Opens a connection and accepts it, as the other process would do."""
    listener.setblocking(False)
    _, writer = await asyncio.open_connection(*listener.getsockname())
    async with asyncio.timeout(WITHIN):
        accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
    accepted.close()
    writer.close()
