"""What answers of the service have in common."""

from typing import Any

import httpx


def assert_problem(response: httpx.Response, status: int, *fields: str) -> None:
    """Fails unless the response is a complete problem of the service with exactly these fields."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]
    assert [error["field"] for error in problem.get("errors", [])] == list(fields)


def assert_reveals_nothing(response: httpx.Response) -> None:
    """Fails if an error names parts of the implementation."""
    for word in ("Traceback", "pydantic", "asyncpg", "Error", ".py"):
        assert word not in response.text


async def assert_allows_only(client: httpx.AsyncClient, path: str, allowed: set[str]) -> None:
    """Fails unless all other methods get a 405 that lists the allowed ones."""
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
        response = await client.request(method, path)
        assert_problem(response, 405)
        assert set(response.headers["allow"].split(", ")) == allowed


def assert_secure(headers: httpx.Headers) -> None:
    """Fails unless an answer of the service has the security headers, and does not name its server."""
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers.get("server", "") in {"", "envoy", "istio-envoy"}  # not Hypercorn, and no version
    assert "x-powered-by" not in headers
