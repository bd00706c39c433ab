"""OpenTelemetry's environment variables turn tracing on. tests/observability/test_traces.py tests the spans."""

import asyncio
import re
import signal
import socket
import sys

import pytest

from service.settings import SettingsError, load
from service.tracing.choice import from_environment
from service.tracing.hooks import OFF
from tests.service.commands import run_command
from tests.service.databases import Database
from tests.service.processes import service_process

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    "variables", [{}, ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, ENDPOINT | {"OTEL_SDK_DISABLED": "true"}]
)
def test_tracing_is_off_unless_an_exporter_is_configured(variables: dict[str, str]) -> None:
    assert from_environment(variables, load({})) is OFF


async def test_a_service_that_is_not_traced_does_not_import_opentelemetry() -> None:
    script = (
        "import sys, service.__main__ as main; "
        "from service import settings; from service.tracing import choice, hooks; "
        "assert choice.from_environment({}, settings.load({})) is hooks.OFF; "
        "sys.exit(', '.join(name for name in sys.modules if name.startswith('opentelemetry')) or 0)"
    )

    done = await run_command(sys.executable, "-c", script)

    assert (done.status, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin,console"}, "OTEL_TRACES_EXPORTER: zipkin: expected otlp, console or none"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
    ],
)
def test_a_wrong_exporter_is_an_error(variables: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        from_environment(variables, load({}))


async def test_a_wrong_variable_makes_the_service_exit_with_status_2() -> None:
    done = await run_command(sys.executable, "-m", "service", OTEL_TRACES_EXPORTER="zipkin")

    assert (done.status, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("service: OTEL_TRACES_EXPORTER: ")


async def test_the_console_exporter_logs_a_line_for_each_request(database: Database) -> None:
    async with service_process(database, SERVICE_LOG_FORMAT="text", OTEL_TRACES_EXPORTER="console") as process:
        await process.ready()
        path = await process.create()
        await process.api.get(path, headers={"traceparent": f"00-{'5' * 32}-{'6' * 16}-01"})
        await process.api.get("/things", headers={"x-poll": "1"})
        await process.api.get("/nowhere")
        process.send(signal.SIGINT)
        lines = [line for line in await process.lines() if " trace " in line]

    wait = r"(wait for a connection \d+\.\d ms, )?"  # opening the first connection can take a while
    patterns = (
        rf"[0-9a-f]{{32}} POST /things 201 \d+\.\d ms: {wait}thing_create \d+\.\d ms",
        rf"5{{32}} GET /things/<uuid:thing_id> 200 \d+\.\d ms: {wait}thing_get \d+\.\d ms",
        r"[0-9a-f]{32} GET 404 \d+\.\d ms",
    )
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(rf"\d\d:\d\d:\d\d trace {pattern}", line), line


async def test_the_wait_for_a_connection_has_a_span(database: Database) -> None:
    async with service_process(
        database, SERVICE_LOG_FORMAT="text", OTEL_TRACES_EXPORTER="console", SERVICE_POOL_SIZE="1"
    ) as process:
        await process.ready()
        path = await process.create()
        async with database.locked(path.rpartition("/")[2]):
            change = asyncio.create_task(process.api.put(path, json={"name": "Changed"}))
            await database.until_waiting(1)
            read = asyncio.create_task(process.api.get(path))
            await process.until_metric(1, "db_pool_waiting")
        await asyncio.gather(change, read)
        process.send(signal.SIGINT)
        [line] = [line for line in await process.lines() if " trace " in line and " GET " in line]

    assert re.search(r": wait for a connection \d+\.\d ms, thing_get \d+\.\d ms$", line), line


async def test_a_collector_that_does_not_answer_delays_neither_requests_nor_the_exit(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with service_process(
            database,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_TIMEOUT="3600",
            OTEL_BSP_SCHEDULE_DELAY="1",
        ) as process:
            await process.ready()
            await process.create()
            process.send(signal.SIGINT)
            assert await process.status() == 0
