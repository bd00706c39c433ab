"""Grafana's own types. Grafana ignores a field that they do not have, without a message."""

import json
import warnings
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

with warnings.catch_warnings():
    # They recommend version 2 of the dashboard format, which a provisioned file does not need.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()


def unknown(dashboard: dict[str, Any]) -> list[str]:
    """The paths of the fields that Grafana's types drop or change when they read a dashboard."""
    read = Dashboard.from_json(deepcopy(dashboard))
    return list(_lost(dashboard, json.loads(JSONEncoder().encode(read)), ""))


def _lost(given: Any, kept: Any, path: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from _lost(value, kept.get(key), f"{path}/{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from _lost(one, other, f"{path}/{index}")
    elif given != kept:
        yield path
