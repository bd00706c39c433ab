"""What all errors of the service have in common."""

from typing import Any

import httpx


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem in a response; fails unless the response has this status and is a problem in every respect."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (response.headers.get("retry-after") == "1") == (status == 503)
    return problem


def errors_of(response: httpx.Response) -> dict[str, str]:
    """The wrong fields of a 422, each with what is wrong with it."""
    return {error["field"]: error["message"] for error in problem_of(response, 422)["errors"]}
