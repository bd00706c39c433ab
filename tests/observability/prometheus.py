"""A client of the HTTP API of a running Prometheus."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Prometheus:
    client: httpx.AsyncClient

    async def ask(self, path: str, **parameters: str) -> Any:
        answer = await self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def numbers(self, expression: str) -> list[float]:
        """The current values of all series of an expression, without NaN and infinity."""
        found = await self.ask("/query", query=expression)
        values = [float(series["value"][1]) for series in found["result"]]
        return [value for value in values if math.isfinite(value)]

    async def labels(self) -> Mapping[str, set[str]]:
        """All metrics, each with the labels of all its series."""
        known: dict[str, set[str]] = {}
        for series in await self.ask("/series", **{"match[]": '{__name__=~".+"}'}):
            known.setdefault(series["__name__"], set()).update(series)
        return known
