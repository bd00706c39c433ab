"""What the recorder makes of answers, and of the times without them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cluster.secrets import manifests
from tests.faults.ledger import Ledger
from tests.faults.recorder import NO_ANSWER, NO_RETRY_AFTER, Outcome, Recorder, kinds
from tests.faults.trial import longest_gap
from tests.probe.collection import THINGS


@asynccontextmanager
async def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers each request with this; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def recorded(url: str) -> Outcome:
    """What is recorded of one request."""
    recorder = Recorder(url, 1, Ledger("word", THINGS))
    await recorder._read(0)
    [outcome] = recorder.outcomes
    return outcome


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n", "503"),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", NO_RETRY_AFTER),
        (b"", NO_ANSWER),
    ],
)
async def test_a_503_has_to_say_when_to_come_back(answer: bytes, kind: str) -> None:
    async with answering(answer) as port:
        outcome = await recorded(f"http://127.0.0.1:{port}")

    assert kinds([outcome]) == {kind: 1}
    assert outcome.failed


async def test_tls_is_spoken_with_those_whom_the_variable_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", server) as port:
        assert (await recorded(f"https://localhost:{port}")).answer == "SSLCertVerificationError"

        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.crt"))
        assert (await recorded(f"https://localhost:{port}")).answer == "200"


def test_the_longest_time_without_a_write_does_not_end_with_a_read_or_an_error() -> None:
    outcomes = [
        Outcome(0, 1, "201", writes=True),
        Outcome(1, 2, "503", writes=True),
        Outcome(2, 3, "200"),
        Outcome(3, 6, "204", writes=True),
        Outcome(7, 8, "200"),
    ]

    gap = longest_gap(outcomes)

    assert (gap.seconds, gap.ended) == (5, 6)


def test_without_a_write_until_the_end_it_lasts_until_then() -> None:
    outcomes = [Outcome(0, 1, "201", writes=True), Outcome(8, 9, "503", writes=True)]

    assert longest_gap(outcomes).seconds == 8
