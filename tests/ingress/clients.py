"""Clients of the ingress: of a user, or of nobody."""

import httpx


def client_of(url: str, user: httpx.Auth | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, auth=user, headers={"user-agent": "tests"}, timeout=30)
