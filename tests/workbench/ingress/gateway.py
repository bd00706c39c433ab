"""Envoy with the ingress rules, in front of stub replicas."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.workbench.ingress.stub_replicas import StubReplica
from workbench.ingress.bootstrap import CLUSTER

IDEMPOTENT = {"idempotency-key": "7d1f4a"}

StartGateway = Callable[..., Awaitable["Gateway"]]


def assert_problem(response: httpx.Response, status: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


@dataclass
class Gateway:
    client: httpx.AsyncClient
    admin: httpx.AsyncClient
    admin_socket: Path
    port: int
    process: asyncio.subprocess.Process

    async def raw(self, request: bytes) -> tuple[bytes, bytes]:
        """Sends bytes that an HTTP client would not send; returns the head and the body of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        writer.close()
        return head, body

    async def hosts(self, replica: StubReplica) -> dict[str, dict[str, Any]]:
        """Envoy's data about a replica in each of its clusters: health_status, stats and so on."""
        clusters = (await self.admin.get("/clusters?format=json")).json()["cluster_statuses"]
        return {
            cluster["name"]: host
            for cluster in clusters
            if cluster["name"].startswith("outbound|")
            for host in cluster.get("host_statuses", [])  # not there if it has none
            if host["address"]["socket_address"]["port_value"] == replica.upstream.api_port
        }

    async def is_usable(self, replica: StubReplica) -> bool:
        return all(self._healthy(host) for host in (await self.hosts(replica)).values())

    async def is_unusable(self, replica: StubReplica) -> bool:
        return not any(self._healthy(host) for host in (await self.hosts(replica)).values())

    @staticmethod
    def _healthy(host: dict[str, Any]) -> bool:
        return set(host["health_status"]) == {"eds_health_status"}

    async def statistic(self, name: str, of: str = f"cluster.{CLUSTER}") -> int:
        """A counter or gauge, such as upstream_rq_retry; of the service's cluster, unless `of` names another."""
        query = {"format": "json", "filter": f"^{re.escape(f'{of}.{name}')}$"}
        [stat] = (await self.admin.get("/stats", params=query)).json()["stats"]
        return int(stat["value"])

    async def has(self, name: str, value: int, of: str = f"cluster.{CLUSTER}") -> bool:
        return await self.statistic(name, of) == value
