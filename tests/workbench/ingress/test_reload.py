"""Changed rules, in an Envoy that goes on: no request is lost, no stream ends, and wrong rules change nothing."""

import asyncio
import io
import os
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest

from harness.tls import NO_TLS
from tests.waiting import WITHIN, eventually
from tests.workbench.ingress import changed_rules
from tests.workbench.ingress.changed_rules import Edit, EditRules
from tests.workbench.ingress.stub_replicas import Received, StubReplica
from tests.workbench.ingress.translation import BUFFER, CONNECTIONS, DESTINATION_RULE, KUSTOMIZATION, VIRTUAL_SERVICE
from workbench.console import Console
from workbench.ingress.bootstrap import IngressRuleError
from workbench.machine import ports
from workbench.parts.envoy import Envoy

LAST = "    - name: others\n"
HEADER = LAST + '      headers: { response: { set: { x-rules: "%s" } } }\n'
CORS = LAST + "      corsPolicy: { allowOrigins: [{ exact: https://app.example }] }\n"


def header(value: str) -> Edit:
    return VIRTUAL_SERVICE, LAST, HEADER % value


@dataclass
class Streams:
    """Answers `GET /open/stream` with a line for each `more()`, and other requests at once."""

    sent: list[asyncio.Queue[bytes]] = field(default_factory=list)

    def more(self) -> None:
        for queue in self.sent:
            queue.put_nowait(b"5\r\nmore\n\r\n")

    async def __call__(self, request: Received) -> None:
        if request.target != "/open/stream":
            await request.respond(200, b"ok")
            return
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent.append(queue)
        request.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            request.writer.write(await queue.get())
            await request.writer.drain()


@dataclass
class Ingress:
    envoy: Envoy
    client: httpx.AsyncClient
    console: io.StringIO
    streams: Streams

    async def is_answered(self, path: str, header: str, value: str | None) -> None:
        """Waits for an answer with this value of a header: Envoy's workers take new rules within milliseconds."""

        async def answered() -> bool:
            return bool((await self.client.get(path)).headers.get(header) == value)

        await eventually(answered, f"{header}: {value}")

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """An open stream; a call of it waits for one more line."""
        async with self.client.stream("GET", "/open/stream") as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()

            async def goes_on() -> None:
                self.streams.more()
                async with asyncio.timeout(WITHIN):
                    assert await anext(lines) == "more"

            await goes_on()
            yield goes_on

    @asynccontextmanager
    async def load(self) -> AsyncIterator[Counter[object]]:
        """Requests to both subsets, on connections that are kept, one after the other. Counts statuses and errors."""
        answers: Counter[object] = Counter()

        async def ask(path: str) -> None:
            async with httpx.AsyncClient(base_url=self.client.base_url, verify=NO_TLS, timeout=WITHIN) as client:
                while True:
                    try:
                        answers[(await client.get(path)).status_code] += 1
                    except httpx.TransportError as error:
                        answers[repr(error)] += 1

        clients = [asyncio.create_task(ask(path)) for path in ("/load", "/load/stream") for _ in range(2)]
        try:
            yield answers
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)


@pytest.fixture(scope="module")
async def ingress(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingress]:
    """A running Envoy. The tests change the rules of `edit`."""
    rules = changed_rules.edited_rules(tmp_path_factory.mktemp("reload") / "rules")
    [port] = ports.free(1)
    streams, console = Streams(), io.StringIO()
    async with AsyncExitStack() as stack:
        run = stack.enter_context(tempfile.TemporaryDirectory(prefix="ingress-"))
        replica = await stack.enter_async_context(StubReplica(answer=streams).running())
        envoy = Envoy(port, [replica.upstream], rules, Path(run), Console(console))
        stack.push_async_callback(envoy.stop)
        await envoy.start()
        url = f"http://127.0.0.1:{port}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, verify=NO_TLS, timeout=WITHIN))
        yield Ingress(envoy, client, console, streams)


@pytest.fixture
async def edit(ingress: Ingress) -> AsyncIterator[EditRules]:
    """Changes the rules of these tests. Afterwards they are as before."""
    rules = ingress.envoy.rules
    yield partial(changed_rules.edited_rules, rules)
    changed_rules.edited_rules(rules)
    await ingress.envoy.reload()


# fmt: off
CHANGES = [
    # Of the routes, the filters of the listener, and the clusters.
    [header("1")],
    [(CONNECTIONS, "request_headers_timeout: 10s", "request_headers_timeout: 11s"), header("2")],
    [(BUFFER, "max_request_bytes: 1000\n    - applyTo", "max_request_bytes: 2000\n    - applyTo"), header("3")],
    [(DESTINATION_RULE, "connectTimeout: 1s", "connectTimeout: 2s"), header("4")],
    [(VIRTUAL_SERVICE, LAST, CORS), (VIRTUAL_SERVICE, "subset: streams", "subset: other"),
     (DESTINATION_RULE, "- name: streams", "- name: other"), header("5")],
]
# fmt: on


async def test_no_request_is_lost_and_no_stream_ends(ingress: Ingress, edit: EditRules) -> None:
    async with ingress.load() as answers, ingress.stream() as goes_on:
        for number, edits in enumerate(CHANGES, 1):
            before = answers.total()
            edit(*edits)
            assert await ingress.envoy.reload()
            await ingress.is_answered("/", "x-rules", str(number))
            await eventually(partial(_more, answers, before + 20), "more answers")
            await goes_on()
    assert answers.keys() == {200}


async def _more(answers: Counter[object], count: int) -> bool:
    return answers.total() >= count


async def test_a_connection_that_is_kept_meets_new_routes(ingress: Ingress, edit: EditRules) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.envoy.port)

    async def answer() -> str:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        return head.decode()

    assert "x-rules" not in await answer()
    edit(header("kept"))
    assert await ingress.envoy.reload()

    async def has_met_them() -> bool:
        head = await answer()
        assert "connection: close" not in head
        return "x-rules: kept\r\n" in head

    await eventually(has_met_them, "the header")
    writer.close()


async def test_a_connection_that_is_kept_is_to_close_for_new_filters(ingress: Ingress, edit: EditRules) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.envoy.port)
    edit((CONNECTIONS, "request_headers_timeout: 10s", "request_headers_timeout: 12s"))
    assert await ingress.envoy.reload()

    async def is_to_close() -> bool:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        return b"connection: close" in head

    await eventually(is_to_close, "an answer that closes the connection")
    writer.close()


async def test_the_same_rules_change_nothing(ingress: Ingress, edit: EditRules) -> None:
    edit((VIRTUAL_SERVICE, "  http:\n", "  # a comment\n  http:\n"))
    assert not await ingress.envoy.reload()


async def test_a_subset_without_a_replica_is_named(ingress: Ingress, edit: EditRules) -> None:
    edit((DESTINATION_RULE, "- name: streams\n", "- name: streams\n      labels: { version: other }\n"))
    assert await ingress.envoy.reload()
    assert "no replica has the labels of the subset 'streams' (version: other)" in ingress.console.getvalue()


# fmt: off
WRONG = [
    (VIRTUAL_SERVICE, "timeout: 5s", "timeouts: 5s", "spec.http[3].timeouts"),
    (VIRTUAL_SERVICE, LAST, LAST + '      headers: { response: { set: { x-try: "%RETRY%" } } }\n',
     "spec.http[3].headers.response.set.x-try"),
    (CONNECTIONS, "request_headers_timeout: 10s", "request_headers_timeouts: 10s",
     "spec.configPatches[0].patch.value.typed_config.request_headers_timeouts"),
    (CONNECTIONS, "inline_string: refused", "inline_strings: refused", "spec.configPatches[0]"),
    (KUSTOMIZATION, "- gateway.yaml", "- gateways.yaml", ""),
]
# fmt: on


@pytest.mark.parametrize(("file", "old", "new", "wrong"), WRONG)
async def test_wrong_rules_are_refused_until_the_next_correct_save(
    ingress: Ingress, edit: EditRules, file: str, old: str, new: str, wrong: str
) -> None:
    edit(header("before"))
    await ingress.envoy.reload()
    rules = edit((file, old, new))
    with pytest.raises(IngressRuleError) as caught:
        await ingress.envoy.reload()
    assert caught.value.field == wrong
    assert caught.value.file.parent == rules
    await ingress.is_answered("/", "x-rules", "before")

    edit(header("after"))
    assert await ingress.envoy.reload()
    await ingress.is_answered("/", "x-rules", "after")


async def test_what_only_the_running_envoy_refuses(
    ingress: Ingress, edit: EditRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept(*_: object) -> None:
        pass

    monkeypatch.setattr("workbench.parts.envoy.refused_rule", accept)
    edit(header("before"))
    await ingress.envoy.reload()
    edit(header("%RETRY%"), (CONNECTIONS, "inline_string: refused", "inline_string: new"))
    with pytest.raises(IngressRuleError, match=r"Envoy refuses it: .*Not supported field in StreamInfo: RETRY$"):
        await ingress.envoy.reload()
    await ingress.is_answered("/", "x-rules", "before")

    async def listener_is_the_old_one() -> bool:  # although Envoy had accepted the new one
        async with httpx.AsyncClient(base_url=ingress.client.base_url, verify=NO_TLS) as new_connection:
            return (await new_connection.get("/", headers={"user-agent": "robot"})).text == "refused"

    await eventually(listener_is_the_old_one, "the old listener")

    edit(header("after"))
    assert await ingress.envoy.reload()
    await ingress.is_answered("/", "x-rules", "after")


async def test_an_envoy_that_is_killed_while_the_rules_are_wrong(ingress: Ingress, edit: EditRules) -> None:
    edit(header("good"))
    await ingress.envoy.reload()
    edit((VIRTUAL_SERVICE, "timeout: 5s", "timeouts: 5s"))
    with pytest.raises(IngressRuleError):
        await ingress.envoy.reload()
    assert ingress.envoy.part
    os.kill(ingress.envoy.part.pid, signal.SIGKILL)
    await ingress.envoy.part.wait(WITHIN)

    await ingress.envoy.start()

    await ingress.is_answered("/", "x-rules", "good")
    assert "envoy starts with the last good rules" in ingress.console.getvalue()


async def test_rules_that_are_saved_while_envoy_is_down(ingress: Ingress, edit: EditRules) -> None:
    await ingress.envoy.stop()
    edit(header("while down"))
    assert await ingress.envoy.reload()
    assert not ingress.envoy.running

    await ingress.envoy.start()

    await ingress.is_answered("/", "x-rules", "while down")
