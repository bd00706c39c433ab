"""The address of the ingress, which is part of rules that name the identity provider behind it."""

from typing import Any

CLUSTER_URL = "http://localhost:8080"
"""Of the cluster's ingress, and so in the files. The workbench's has another port if INGRESS_PORT says so."""


def moved(document: Any, own_url: str) -> Any:
    """A document with another address of the ingress in place of the cluster's, where a value begins with that."""
    if isinstance(document, dict):
        return {key: moved(value, own_url) for key, value in document.items()}
    if isinstance(document, list):
        return [moved(value, own_url) for value in document]
    if isinstance(document, str) and (document == CLUSTER_URL or document.startswith(f"{CLUSTER_URL}/")):
        return own_url + document.removeprefix(CLUSTER_URL)
    return document
