"""Log lines can be parsed or read, contain no secrets, and cannot be forged by clients."""

import json
import logging
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import h2.config
import h2.connection
import pytest

from service.settings import load
from service.telemetry import logs
from service.telemetry.logs import JSONFormatter, TextFormatter
from tests.service.clients import Clients
from tests.service.databases import Database
from tests.service.processes import Process, service_process
from tests.service.raw import raw_connection

FORGED = '{"level": "error", "message": "FORGED"}'


@asynccontextmanager
async def logged(
    database: Database, log_format: str, lines: list[str], module: str = "tests.probe"
) -> AsyncIterator[Process]:
    """A running service. After the block, `lines` has the lines that it logged."""
    async with service_process(
        database,
        module=module,
        SERVICE_LOG_FORMAT=log_format,
        SERVICE_LOG_LEVEL="debug",
        SERVICE_DATABASE_PASSWORD="hunter2",  # noqa: S106 - a word that the log must not contain
    ) as process:
        await process.ready()
        yield process
        process.send(signal.SIGINT)
        lines += await process.lines()


async def forge(service: Clients) -> int:
    """Sends requests that could add a forged line to the log. Returns how many of them reached the service."""
    reached = 0
    requests = (
        f"GET /%0A{FORGED.replace(' ', '%20')} HTTP/1.1\r\nHost: test\r\n",
        f"GET /things?%0D%0A{FORGED.replace(' ', '')} HTTP/1.1\r\nHost: test\r\n",
        f"GET /%C2%85%E2%80%A8{FORGED.replace(' ', '')} HTTP/1.1\r\nHost: test\r\n",
        f"GET / HTTP/1.1\r\nHost: test\r\nUser-Agent: a\r\n {FORGED}\r\n",  # the second line of a header
        f"GET / HTTP/1.1\r\nHost: test\r\nUser-Agent: a\x85{FORGED}\r\nX-Forwarded-For: a\x85{FORGED}\r\n",
        f"GET / HTTP/1.1\r\nHost: test\r\nX-Request-Id: a\x85{FORGED}\r\n",
    )
    for request in requests:
        async with raw_connection(service) as connection:
            await connection.send(f"{request}Connection: close\r\n\r\n".encode("latin-1"))
            answer = await connection.rest()
            assert answer.startswith(b"HTTP/1.1 ")
            reached += not answer.startswith(b"HTTP/1.1 400 ")  # the server refuses the others, which is fine too
    return reached


async def forge_by_http2(service: Clients) -> None:
    """Paths with control characters, which HTTP/2 can transport. It does not matter how the service answers them."""
    for path in (f"/\n{FORGED}", f"/\r{FORGED}", f"/\x1b[2K{FORGED}"):
        client = h2.connection.H2Connection(
            h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        client.initiate_connection()
        headers = [(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", path)]
        client.send_headers(1, headers, end_stream=True)
        client.close_connection()
        async with raw_connection(service) as connection:
            await connection.send(client.data_to_send())
            await connection.rest()


async def test_json_logs_have_one_object_per_line_and_one_line_per_request(database: Database) -> None:
    lines: list[str] = []
    async with logged(database, "json", lines) as process:
        path = await process.create()
        await process.api.get(
            path, headers={"user-agent": "probe/1", "x-request-id": "the-request", "x-forwarded-for": "192.0.2.1"}
        )
        await process.api.get("/nowhere?secret=1")
        await process.api.head(path)
        forged = await forge(process)
        await forge_by_http2(process)

    objects: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert objects
    for entry in objects:
        assert {"time", "level", "logger", "message", "service", "version", "instance"} <= entry.keys()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", entry["time"])
        assert entry["message"] != "FORGED"
    assert "hunter2" not in "\n".join(lines)

    access = [entry for entry in objects if entry["logger"] == "service.access"]
    assert len([entry for entry in access if entry["message"].endswith(" ms")]) == len(access) >= 4 + forged
    [created, read, missed, head] = access[:4]
    assert created["http"]["method"] == "POST"
    assert created["http"]["status"] == 201
    assert read["request_id"] == "the-request"
    assert read["http"] | {"duration_ms": 0, "bytes": 0} == {
        "method": "GET",
        "route": "/things/<uuid:thing_id>",
        "status": 200,
        "duration_ms": 0,
        "bytes": 0,
        "client": "192.0.2.1",
        "user_agent": "probe/1",
    }
    assert read["http"]["duration_ms"] > 0
    assert read["http"]["bytes"] > 0
    assert missed["http"]["route"] == "unmatched"
    assert head["http"]["bytes"] == 0, "the answer to HEAD has no body"
    assert "secret" not in missed["message"], "a query string can contain secrets"


async def test_text_logs_have_one_printable_line_per_request(database: Database) -> None:
    lines: list[str] = []
    async with logged(database, "text", lines) as process:
        path = await process.create()
        await process.api.get(path)
        await forge(process)
        await forge_by_http2(process)

    text = "\n".join(lines)
    for line in lines:
        assert re.match(r"\d\d:\d\d:\d\d ", line), line
        assert line.isprintable(), ascii(line)
    assert re.search(rf"^\d\d:\d\d:\d\d GET {path} 200 \d+\.\d ms$", text, re.MULTILINE)
    assert "starting -> ready" in text
    assert "hunter2" not in text


async def test_the_level_can_be_changed_at_run_time(database: Database) -> None:
    async with service_process(database, SERVICE_LOG_FORMAT="text") as process:

        async def get(path: str, headers: Mapping[str, str] | None = None, count: int = 1) -> None:
            """Returns when the service has counted the request, and logged it or not: both follow the answer."""
            await process.api.get(path, headers=headers)
            await process.until_metric(count, "http_requests_total", route=path)

        await process.ready()
        assert (await process.ops.get("/log-level")).text == "info\n"
        await get("/things")
        quiet = await process.ops.put("/log-level", content="error\n")
        await get("/things/export")
        wrong = await process.ops.put("/log-level", content="loud")
        await process.ops.put("/log-level", content="debug")
        await get("/things", headers={"x-poll": "1"}, count=2)
        assert (await process.ops.get("/log-level")).text == "debug\n"
        process.send(signal.SIGINT)
        text = "\n".join(await process.lines())

    assert (quiet.status_code, quiet.text) == (200, "error\n")
    assert (wrong.status_code, wrong.text) == (422, "the body must be one of debug, info, warning, error\n")
    assert text.count("GET /things 200") == 2, "the last one is a poll, which is logged at debug only"
    assert "WARNING log level changed from info to error" in text
    assert "/things/export" not in text
    assert "WARNING log level changed from error to debug" in text


async def test_neither_bodies_nor_credentials_are_logged(database: Database) -> None:
    """Not even at level debug, and not in the error of a rejected request."""
    lines: list[str] = []
    async with logged(database, "json", lines) as process:
        path = await process.create(name="s3cret")
        headers = {
            "authorization": "Bearer s3cret",
            "x-api-key": "s3cret",
            "cookie": "s3cret",
            "if-match": '"s3cret"',
        }
        ndjson = {"content-type": "application/x-ndjson"}
        answers = [
            await process.api.post("/things", json={"name": "s3cret" * 50}),
            await process.api.post("/things", json={"name": "s3cret\x00"}),
            await process.api.post(
                "/things", content='{"name": "s3cret"', headers={"content-type": "application/json"}
            ),
            await process.api.put(path, json={"name": "s3cret"}, headers=headers),
            await process.api.post("/things/import", content='{"name": "s3cret", "s3cret": 1}', headers=ndjson),
            await process.api.get("/things", params={"limit": "s3cret"}, headers=headers),
            await process.api.get("/things", params={"s3cret": "s3cret"}),
        ]

    assert len(lines) > len(answers)
    assert [line for line in lines if "s3cret" in line] == []


async def test_probes_and_scrapes_are_not_logged(database: Database) -> None:
    lines: list[str] = []
    async with logged(database, "json", lines) as process:
        for path in ("/livez", "/readyz", "/metrics", "/log-level", "/nowhere"):
            await process.ops.get(path)

    assert not [line for line in lines if json.loads(line)["logger"] == "service.access"]


# The formatters.


@pytest.fixture
def record() -> logging.LogRecord:
    """An error whose message and traceback have line breaks."""
    try:
        raise RuntimeError("two\nlines")
    except RuntimeError:
        info = sys.exc_info()
    return logging.LogRecord("service", logging.ERROR, __file__, 1, "it\nfailed: %s", ("é\u2028",), info)


@pytest.fixture
def request_id() -> Iterator[str]:
    token = logs.request_id.set("the-request")
    yield "the-request"
    logs.request_id.reset(token)


def test_json_has_the_exception_on_the_same_line(record: logging.LogRecord, request_id: str) -> None:
    record.colour = "red"

    line = JSONFormatter(load({"SERVICE_NAME": "shop"})).format(record)

    assert "\n" not in line
    entry = json.loads(line)
    assert entry["message"] == "it\nfailed: é\u2028"
    assert entry["exception"].endswith("RuntimeError: two\nlines")
    assert entry["colour"] == "red"
    assert entry["request_id"] == request_id
    assert entry["service"] == "shop"
    assert entry["level"] == "error"


def test_a_field_cannot_override_the_name_of_the_service(record: logging.LogRecord) -> None:
    record.service = "another"

    assert json.loads(JSONFormatter(load({"SERVICE_NAME": "shop"})).format(record))["service"] == "shop"


def test_json_has_values_of_unknown_types_as_text(record: logging.LogRecord) -> None:
    record.path = set

    assert json.loads(JSONFormatter(load({})).format(record))["path"] == "<class 'set'>"


def test_json_has_text_that_is_not_valid_unicode_escaped(record: logging.LogRecord) -> None:
    record.file = "caf\udce9"  # as Python decodes the name of a file that is not in UTF-8

    assert json.loads(JSONFormatter(load({})).format(record))["file"] == "caf\udce9"


def test_text_has_the_traceback_below_the_line_and_colour_only_on_a_terminal(record: logging.LogRecord) -> None:
    plain = TextFormatter(colour=False).format(record)
    coloured = TextFormatter(colour=True).format(record)

    assert re.match(r"\d\d:\d\d:\d\d ERROR it", plain)
    assert plain.endswith("RuntimeError: two\nlines")
    assert "\x1b" not in plain
    assert coloured == f"\x1b[31m{plain}\x1b[0m"
