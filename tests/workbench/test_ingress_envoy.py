"""What the ingress rules do on a real Envoy."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.workbench.conftest import ENVOY, RULES, Gateway, Peer, Received, StartGateway, eventually
from workbench.ingress import cluster_name, envoy_bootstrap

IDEMPOTENT = {"idempotency-key": "7d1f4a"}
FAILURES_IN_A_ROW = 5  # after which k8s/istio/destinationrule.yaml ejects a replica
SHORT = ("virtualservice.yaml", "timeout: 15s", "timeout: 200ms")

EditRules = Callable[..., Path]


async def unavailable(request: Received) -> None:
    await request.respond(503, b"the service's own 503")


async def reset(request: Received) -> None:
    await request.reset()


async def never(request: Received) -> None:
    await asyncio.Event().wait()


class Held:
    """Keeps requests until they are released; `count` are there when `arrived` is set."""

    def __init__(self, count: int) -> None:
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()
        self._missing = count

    async def __call__(self, request: Received) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.arrived.set()
        await self.released.wait()
        await request.respond(200, b"released")


def assert_problem(response: httpx.Response, status: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


async def raw(gateway: Gateway, request: bytes) -> tuple[bytes, bytes]:
    """Sends bytes that an HTTP client would not; returns the head and the body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(length)
    writer.close()
    return head, body


# --- the throttled client


async def test_exactly_curl_is_throttled(start_gateway: StartGateway) -> None:
    peer = Peer()
    gateway = await start_gateway(peer)

    for method, path in (("GET", "/"), ("HEAD", "/notes"), ("POST", "/notes"), ("GET", "/notes/events")):
        response = await gateway.client.request(method, path, headers={"user-agent": "curl"})
        assert response.status_code == 429
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["retry-after"] == "60"
        if method != "HEAD":
            assert_problem(response, 429)
            assert response.json()["title"] == "Too Many Requests"
            assert "User-Agent" in response.json()["detail"]

    assert not peer.received


async def test_any_other_user_agent_passes(start_gateway: StartGateway) -> None:
    peer = Peer()
    gateway = await start_gateway(peer)

    for agent in ("curl/8.5.0", "Curl", "curl, other", ""):
        assert (await gateway.client.get("/", headers={"user-agent": agent})).status_code == 200
    without = gateway.client.build_request("GET", "/")
    del without.headers["user-agent"]
    assert (await gateway.client.send(without)).status_code == 200

    assert "user-agent" not in peer.received[-1].headers


# --- retries


async def repeated(gateway: Gateway, method: str, path: str, headers: dict[str, str], *, on: Peer) -> None:
    """Sends requests until one of them was served by this peer after another one had failed it.

    The first to be asked is drawn by lot. So is each other one, up to six times until a new one comes up: about one
    request in four thousand is tried on the same of two replicas three times over, and has failed then.
    """
    async with asyncio.timeout(10):
        while True:
            response = await gateway.client.request(method, path, headers=headers, content=b"{}")
            if response.status_code == 200 and on.received[-1].headers["x-envoy-attempt-count"] != "1":
                return


async def test_a_plain_write_is_not_repeated_after_a_reset(start_gateway: StartGateway) -> None:
    peers = Peer(reset), Peer(reset)
    gateway = await start_gateway(*peers)

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert_problem(await gateway.client.request(method, "/notes"), 503)
    assert_problem(await gateway.client.post("/notes", headers={"idempotency-key": ""}), 503)
    assert_problem(await gateway.client.post("/notes/import", headers=IDEMPOTENT), 503)

    assert sum(len(peer.received) for peer in peers) == 6


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("HEAD", {}), ("POST", IDEMPOTENT)])
async def test_what_is_safe_to_repeat_goes_to_another_replica_after_a_reset(
    start_gateway: StartGateway, method: str, headers: dict[str, str]
) -> None:
    broken, healthy = Peer(reset), Peer()
    gateway = await start_gateway(broken, healthy)

    await repeated(gateway, method, "/notes", headers, on=healthy)

    assert broken.received


async def test_a_refused_write_goes_to_another_replica(start_gateway: StartGateway) -> None:
    refusing, healthy = Peer(), Peer()
    gateway = await start_gateway(refusing, healthy)
    refusing.refuse()

    for path in ("/notes", "/notes/import"):
        await repeated(gateway, "POST", path, {}, on=healthy)

    assert not refusing.received
    assert {request.body for request in healthy.received} == {b"{}"}


async def test_the_services_503_is_passed_on_and_not_repeated(start_gateway: StartGateway) -> None:
    peers = Peer(unavailable), Peer(unavailable)
    gateway = await start_gateway(*peers)

    for method, headers in (("GET", {}), ("POST", {}), ("POST", IDEMPOTENT)):
        response = await gateway.client.request(method, "/notes", headers=headers)
        assert (response.status_code, response.content) == (503, b"the service's own 503")

    assert sum(len(peer.received) for peer in peers) == 3


async def test_a_client_cannot_ask_for_more_retries(start_gateway: StartGateway) -> None:
    peers = Peer(unavailable), Peer(unavailable)
    gateway = await start_gateway(*peers)

    await gateway.client.post("/notes", headers={"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9"})

    assert sum(len(peer.received) for peer in peers) == 1


# --- timeouts and streams


async def test_a_slow_answer_becomes_504(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    peer = Peer(never)
    gateway = await start_gateway(peer, rules=edited_rules(SHORT))

    for method, headers in (("GET", {}), ("POST", {}), ("POST", IDEMPOTENT)):
        response = await gateway.client.request(method, "/notes", headers=headers)
        assert_problem(response, 504)
        assert response.json()["title"] == "Gateway Timeout"
        assert response.json()["request_id"] == peer.received[-1].headers["x-request-id"]
        assert "retry-after" not in response.headers


@pytest.mark.parametrize(
    ("method", "headers", "within"), [("GET", {}, "6s"), ("POST", IDEMPOTENT, "7s")], ids=["GET", "POST with a key"]
)
async def test_a_replica_that_hangs_is_given_up_for_another(
    start_gateway: StartGateway, edited_rules: EditRules, method: str, headers: dict[str, str], within: str
) -> None:
    hanging, healthy = Peer(never), Peer()
    rules = edited_rules(("virtualservice.yaml", f"perTryTimeout: {within}", "perTryTimeout: 100ms"))
    gateway = await start_gateway(hanging, healthy, rules=rules)

    await repeated(gateway, method, "/notes", headers, on=healthy)

    assert hanging.received


async def test_streams_outlive_the_timeout_of_other_routes(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    streams = [("GET", "/notes/events"), ("GET", "/notes/export"), ("POST", "/notes/import")]
    held = Held(len(streams))

    async def hold_streams(request: Received) -> None:
        await (held(request) if (request.method, request.target) in streams else never(request))

    gateway = await start_gateway(Peer(hold_streams), rules=edited_rules(SHORT))

    open_streams = [asyncio.create_task(gateway.client.request(*stream)) for stream in streams]
    await held.arrived.wait()
    # Started after the streams and ended by its timeout: the streams are older than that now.
    assert_problem(await gateway.client.get("/notes"), 504)
    assert_problem(await gateway.client.delete("/notes/events"), 504)  # another method is no stream
    held.released.set()

    assert [stream.content for stream in await asyncio.gather(*open_streams)] == [b"released"] * 3


# --- bodies


@asynccontextmanager
async def half_sent(gateway: Gateway, method: str, path: str) -> AsyncIterator[asyncio.StreamWriter]:
    """A request that has sent one of the two bytes of its body."""
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1".encode())
    try:
        yield writer
    finally:
        writer.close()


async def test_who_sends_slowly_takes_no_place(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    peer = Peer()
    rules = edited_rules(("destinationrule.yaml", "http2MaxRequests: 128", "http2MaxRequests: 1"))
    gateway = await start_gateway(peer, rules=rules)

    async with AsyncExitStack() as slow:
        for method, path in (("POST", "/notes"), ("PUT", "/notes/1"), ("GET", "/notes"), ("POST", "/notes/events")):
            writer = await slow.enter_async_context(half_sent(gateway, method, path))
        await eventually(lambda: gateway.has("downstream_rq_active", 4, "http.ingress"), "Envoy has all of them")
        assert (await gateway.client.post("/notes", content=b"12")).status_code == 200
        assert [request.body for request in peer.received] == [b"12"]

        writer.write(b"2")  # the last one sends the rest

        await eventually(lambda: gateway.has("downstream_rq_active", 3, "http.ingress"), "one of them is answered")
    assert [(request.target, request.body) for request in peer.received[1:]] == [("/notes/events", b"12")]


async def test_an_import_passes_as_it_comes(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer())
    of = f"cluster.{cluster_name('streams')}"

    async with half_sent(gateway, "POST", "/notes/import"):
        await eventually(lambda: gateway.has("upstream_rq_active", 1, of), "a replica has got it")
    large = await gateway.client.post("/notes/import", content=b" " * 3_000_000)

    assert large.status_code == 200


async def test_a_body_that_is_no_import_has_an_end(start_gateway: StartGateway) -> None:
    peer = Peer()
    gateway = await start_gateway(peer)

    assert (await gateway.client.put("/notes/1", content=b" " * 327_680)).status_code == 200
    for path, headers in (("/notes", {}), ("/notes", IDEMPOTENT), ("/nothing", {})):
        response = await gateway.client.post(path, content=b" " * 327_681, headers=headers)
        assert_problem(response, 413)
        assert response.json()["title"] == "Content Too Large"

    assert len(peer.received) == 1


async def test_who_stops_sending_is_told(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    peer = Peer()
    rules = edited_rules(("envoyfilter-request-buffer.yaml", "idle_timeout: 20s", "idle_timeout: 0.1s"))
    gateway = await start_gateway(peer, rules=rules)

    head, body = await raw(gateway, b"POST /notes HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")

    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["title"] == "Request Timeout"
    assert not peer.received


async def test_a_request_has_an_end(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    rules = edited_rules(("envoyfilter-local-replies.yaml", "request_timeout: 660s", "request_timeout: 0.2s"))
    gateway = await start_gateway(Peer(), rules=rules)

    head, _ = await raw(gateway, b"POST /notes/import HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")

    assert head.startswith(b"HTTP/1.1 408 ")


# --- replicas that come and go


async def test_no_replica_is_a_503_of_the_gateway(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer(ready=503), wait=False)

    response = await gateway.client.get("/notes")

    assert_problem(response, 503)
    assert response.headers["retry-after"] == "1"
    assert response.json()["title"] == "Service Unavailable"
    assert response.json()["request_id"]


async def test_a_browser_gets_the_gateways_errors_as_pages(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer(ready=503), wait=False)

    response = await gateway.client.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert "Error 503" in response.text
    assert re.search(r"Request id <code>[0-9a-f-]{36}</code>", response.text)
    assert_problem(await gateway.client.get("/", headers={"accept": "application/json, text/html"}), 503)


async def test_only_ready_replicas_get_requests(start_gateway: StartGateway) -> None:
    leaving, staying = Peer(), Peer()
    gateway = await start_gateway(leaving, staying)

    leaving.ready = 503
    await eventually(lambda: gateway.is_unusable(leaving), "the replica that is not ready is out")
    before = len(leaving.received)
    for _ in range(20):
        assert (await gateway.client.get("/")).status_code == 200
    assert len(leaving.received) == before

    leaving.ready = 200
    await eventually(lambda: gateway.is_usable(leaving), "the replica that is ready again is back")
    async with asyncio.timeout(10):
        while len(leaving.received) == before:
            assert (await gateway.client.get("/")).status_code == 200


async def test_a_replica_that_starts_later_is_taken_in(start_gateway: StartGateway) -> None:
    late = Peer(ready=503)
    gateway = await start_gateway(late, wait=False)
    await eventually(lambda: late.was_checked(3), "its readiness has been asked for and denied")

    late.ready = 200
    await eventually(lambda: gateway.is_usable(late), "the late replica is in")

    assert (await gateway.client.get("/")).status_code == 200


async def test_requests_in_flight_finish_on_a_replica_that_leaves(start_gateway: StartGateway) -> None:
    held = Held(1)
    peer = Peer(held)
    gateway = await start_gateway(peer)

    request = asyncio.create_task(gateway.client.get("/"))
    await held.arrived.wait()
    peer.ready = 503
    await eventually(lambda: gateway.is_unusable(peer), "the replica that is not ready is out")
    held.released.set()

    assert (await request).content == b"released"


async def test_a_replica_that_dies_with_requests_in_flight_is_ejected(start_gateway: StartGateway) -> None:
    held = Held(1)
    dying, healthy = Peer(never), Peer(held)
    gateway = await start_gateway(dying, healthy)

    requests: list[asyncio.Task[httpx.Response]] = []

    async def all_arrived() -> bool:
        return len(dying.received) + len(healthy.received) == len(requests)

    # LEAST_REQUEST compares two replicas that it drew by lot: how many requests each has is not known beforehand.
    while len(dying.received) < FAILURES_IN_A_ROW or not healthy.received:
        requests.append(asyncio.create_task(gateway.client.post("/notes")))
        await eventually(all_arrived, "the request is in flight")
    assert await gateway.statistic("outlier_detection.ejections_enforced_total") == 0
    for request in dying.received:
        await request.reset()
    held.released.set()
    statuses = [response.status_code for response in await asyncio.gather(*requests)]

    assert statuses.count(503) == len(dying.received)
    assert statuses.count(200) == len(healthy.received)
    assert await gateway.statistic("outlier_detection.ejections_enforced_consecutive_local_origin_failure") == 1
    # Long before the ejection time (10 s) is over: it says that it is ready.
    await eventually(lambda: gateway.is_usable(dying), "the next readiness check ends the ejection", within=5)


async def test_replicas_that_refuse_are_ejected_but_never_all(start_gateway: StartGateway) -> None:
    peers = Peer(), Peer()
    gateway = await start_gateway(*peers)
    for peer in peers:
        peer.refuse()

    for response in await asyncio.gather(*(gateway.client.post("/notes") for _ in range(20))):
        assert_problem(response, 503)

    assert await gateway.statistic("outlier_detection.ejections_enforced_consecutive_local_origin_failure") > 0
    assert await gateway.statistic("outlier_detection.ejections_overflow") > 0
    assert await gateway.statistic("outlier_detection.ejections_active") <= 1


async def test_answers_never_eject_a_replica(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer(unavailable), Peer(unavailable))

    for _ in range(30):
        assert (await gateway.client.get("/")).status_code == 503

    assert await gateway.statistic("outlier_detection.ejections_detected_consecutive_5xx") == 0
    assert await gateway.statistic("outlier_detection.ejections_enforced_total") == 0


async def test_requests_over_the_limits_are_refused_at_once(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    held = Held(1)
    peer = Peer(held)
    rules = edited_rules(
        ("destinationrule.yaml", "maxConnections: 4096", "maxConnections: 1"),
        ("destinationrule.yaml", "http1MaxPendingRequests: 1024", "http1MaxPendingRequests: 1"),
    )
    gateway = await start_gateway(peer, rules=rules)

    served = asyncio.create_task(gateway.client.get("/"))
    await held.arrived.wait()
    waiting = asyncio.create_task(gateway.client.get("/"))
    await eventually(lambda: gateway.has("upstream_rq_pending_active", 1), "a request waits")
    refused = await gateway.client.get("/")
    held.released.set()

    assert_problem(refused, 503)
    assert refused.headers["retry-after"] == "1"
    assert (await served).status_code == (await waiting).status_code == 200
    assert len(peer.received) == 2


async def test_requests_over_their_limit_are_refused_and_streams_are_not(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    held = Held(4)
    rules = edited_rules(("destinationrule.yaml", "http2MaxRequests: 128", "http2MaxRequests: 1"))
    gateway = await start_gateway(Peer(held), rules=rules)

    targets = (("GET", "/"), ("GET", "/notes/events"), ("GET", "/notes/export"), ("POST", "/notes/import"))
    served = [asyncio.create_task(gateway.client.request(method, path)) for method, path in targets]
    await held.arrived.wait()
    refused = await gateway.client.get("/")
    held.released.set()

    assert_problem(refused, 503)
    assert refused.headers["retry-after"] == "1"
    assert {response.status_code for response in await asyncio.gather(*served)} == {200}


# --- what the service sees


async def test_the_request_id_is_the_gateways(start_gateway: StartGateway) -> None:
    peer = Peer()
    gateway = await start_gateway(peer)

    for _ in range(2):
        await gateway.client.get("/", headers={"x-request-id": "made up by the client"})

    first, second = (request.headers["x-request-id"] for request in peer.received)
    assert len(first) == len(second) == 36
    assert first != second


async def test_who_never_ends_its_headers_loses_the_connection(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    file = "envoyfilter-local-replies.yaml"
    rules = edited_rules((file, "request_headers_timeout: 10s", "request_headers_timeout: 0.1s"))
    gateway = await start_gateway(Peer(), rules=rules)

    head, _ = await raw(gateway, b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: 1\r\n")

    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head


async def test_paths_are_normalised_as_by_istio(start_gateway: StartGateway) -> None:
    peer = Peer()
    gateway = await start_gateway(peer)

    for sent in ("/a/../notes", "/a/%2e%2e/notes", "//notes//", "/a%2Fb"):
        await raw(gateway, f"GET {sent} HTTP/1.1\r\nhost: a\r\n\r\n".encode())

    assert [request.target for request in peer.received] == ["/notes", "/notes", "//notes//", "/a%2Fb"]


async def test_what_is_no_http_gets_a_problem_too(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer())

    head, body = await raw(gateway, b"GET / HTTP/1.1\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["detail"].endswith("missing_host_header")


# --- rules that a person may add


async def test_what_else_the_workbench_understands(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    added = """
    - name: redirected
      match: [{ uri: { exact: /old } }]
      redirect: { uri: /new, authority: a.example, scheme: https, redirectCode: 308 }
    - name: rewritten
      match: [{ uri: { prefix: /v1/ }, queryParams: { page: { regex: "[0-9]+" } } }]
      rewrite: { uri: /, authority: b.example }
      headers:
        request: { set: { x-set: "1" }, add: { accept: text/plain }, remove: [x-removed] }
        response: { add: { x-added: "2" }, remove: [x-internal] }
      route: [{ destination: { host: slipway.slipway.svc.cluster.local, port: { number: 80 } } }]
    - name: aborted
      match: [{ headers: { x-fault: { prefix: ab } } }]
      fault: { abort: { httpStatus: 502, percentage: { value: 100 } } }
      route: [{ destination: { host: slipway.slipway.svc.cluster.local, port: { number: 80 } } }]
    - name: delayed
      match: [{ headers: { x-fault: { regex: "*" } } }]
      fault: { delay: { fixedDelay: 10s, percentage: { value: 0 } } }
      route: [{ destination: { host: slipway.slipway.svc.cluster.local, port: { number: 80 } } }]
    - name: without
      match: [{ uri: { regex: "/[Ww]ithout" }, withoutHeaders: { x-pass: { exact: "yes" } } }]
      directResponse: { status: 403, body: { string: "no" } }
"""

    async def respond(request: Received) -> None:
        await request.respond(200, b"ok", "x-internal: secret\r\n")

    peer = Peer(respond)
    rules = edited_rules(("virtualservice.yaml", "\n    - name: reads\n", f"{added}    - name: reads\n"))
    gateway = await start_gateway(peer, rules=rules)
    get = gateway.client.get

    redirected = await get("/old")
    assert (redirected.status_code, redirected.headers["location"]) == (308, "https://a.example/new")

    rewritten = await get("/v1/notes?page=1", headers={"x-removed": "1", "accept": "a/b"})
    assert peer.received[-1].target == "/notes?page=1"
    seen = peer.received[-1].headers
    assert (seen["host"], seen["x-set"], seen["accept"]) == ("b.example", "1", "a/b,text/plain")
    assert "x-removed" not in seen
    assert rewritten.headers["x-added"] == "2"
    assert "x-internal" not in rewritten.headers
    await get("/v1/notes?page=x")
    assert peer.received[-1].target == "/v1/notes?page=x"

    assert_problem(await get("/", headers={"x-fault": "abort"}), 502)
    assert (await get("/", headers={"x-fault": "other"})).status_code == 200

    refused = await get("/Without")
    assert (refused.status_code, refused.text) == (403, "no")
    assert (await get("/without", headers={"x-pass": "no"})).status_code == 403
    assert (await get("/without", headers={"x-pass": "yes"})).status_code == 200


# --- the process


async def test_the_administration_is_a_socket_of_this_user_only(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer())

    assert gateway.admin_socket.is_socket()
    assert gateway.admin_socket.stat().st_mode & 0o777 == 0o600


async def test_a_second_envoy_does_not_share_the_port(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_gateway(Peer())

    config = tmp_path / "second.json"
    config.write_text(
        json.dumps(
            envoy_bootstrap(RULES, port=gateway.port, replicas=[], admin_socket=gateway.admin_socket.with_name("2"))
        )
    )
    second = await asyncio.create_subprocess_exec(
        ENVOY, "-c", config, "--disable-hot-restart", "--log-level", "off", stderr=asyncio.subprocess.PIPE
    )
    _, error = await asyncio.wait_for(second.communicate(), 10)

    assert second.returncode != 0
    assert b"in use" in error


async def test_the_access_log_has_istios_keys(start_gateway: StartGateway, capfd: pytest.CaptureFixture[str]) -> None:
    gateway = await start_gateway(Peer(), access_log=True)

    await gateway.client.get("/notes", headers={"user-agent": "curl"})
    await gateway.stop()

    [line] = capfd.readouterr().out.splitlines()
    entry = json.loads(line)
    assert entry["route_name"] == "curl-is-throttled"
    assert (entry["response_code"], entry["response_code_details"]) == (429, "direct_response")
    assert entry["request_id"]


async def test_every_address_is_served(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer(), addresses=("127.0.0.1", "127.0.0.2"))

    assert (await gateway.client.get(f"http://127.0.0.2:{gateway.port}/")).status_code == 200
