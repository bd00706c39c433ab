"""The ops port (probes and metrics) cannot be reached through the ingress."""

import httpx
import pytest

from workbench.ingress.rules import SERVICE_HOST

# Texts that only the ops port answers: on /livez, /readyz, /metrics and all other paths.
OPS_ANSWERS = ("alive", '"checks"', "# HELP", "method not allowed: ", "this port serves")

SPELLINGS = [
    "/{}",
    "/{}/",
    "/{}?x=1",
    "/{};x",
    "/{}%00",
    "/{}%20",
    "/{}%3f",
    "/{}#x",
    "//{}",
    "///{}",
    "/./{}",
    "/%2e/{}",
    "/../{}",
    "/%2e%2e/{}",
    "/%2f{}",
    "/%5c{}",
    "/\\{}",
    "/openapi.json/../{}",
    "/openapi.json/%2e%2e/{}",
    "/openapi.json/..%2f{}",
    "/openapi.json/..;/{}",
    "/openapi.json/{}",
    "/:9000/{}",
    "http://localhost:9000/{}",
    "http://127.0.0.1:9000/{}",
    "http://livez:9000/{}",
]
NAMES = [
    "livez",
    "readyz",
    "metrics",
    "LIVEZ",
    "Metrics",
    "%6civez",
    "livez.",
    "healthz",
    "stats/prometheus",
    "debug",
    "debug/pprof",
]


@pytest.mark.parametrize("name", NAMES)
async def test_no_spelling_of_a_path_reaches_the_ops_port(client: httpx.AsyncClient, name: str) -> None:
    for spelling in SPELLINGS:
        target = spelling.format(name)
        # The raw target, because the client would normalise a URL.
        response = await client.get("/", extensions={"target": target.encode()})
        assert_not_ops(response, target)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:9000"},
        {"host": "127.0.0.1:9000"},
        {"host": f"{SERVICE_HOST}:9000"},
        {"x-original-url": "/livez"},
        {"x-rewrite-url": "/livez"},
        {"x-envoy-original-path": "/livez"},
        {"x-envoy-original-dst-host": "127.0.0.1:9000"},
        {"x-forwarded-host": "localhost:9000", "x-forwarded-port": "9000"},
        {"forwarded": "host=localhost:9000"},
        {"x-forwarded-prefix": "/livez", "x-script-name": "/livez"},
        {"x-http-method-override": "GET", "x-method-override": "GET"},
        {"user-agent": "kube-probe/1.35"},
        {"upgrade": "h2c", "connection": "upgrade, http2-settings", "http2-settings": "AAMAAABkAAQAAP__"},
    ],
    ids=lambda headers: ": ".join(next(iter(headers.items()))),
)
async def test_no_header_reaches_the_ops_port(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert_not_ops(await client.get(path, headers=headers), path)
    assert "openapi" in (await client.get("/openapi.json", headers=headers)).json()


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "PUT"])
async def test_no_method_reaches_the_ops_port(client: httpx.AsyncClient, method: str) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        response = await client.request(method, path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


def assert_not_ops(response: httpx.Response, asked: str) -> None:
    """The API of the service did not find the path, or the gateway refused the request."""
    assert response.status_code in {400, 404}, asked
    assert response.headers["content-type"] == "application/problem+json", asked
    assert not any(answer in response.text for answer in OPS_ANSWERS), asked
