"""The files that a running Envoy reads again, and what it says about them on its administration socket."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from workbench.errors import PartFailed
from workbench.ingress.discovery import CLUSTERS, LISTENERS, ROUTES, Discovered

_TAKEN_WITHIN = 60.0
_PAUSE = 0.01

_STATISTICS = {CLUSTERS: "cluster_manager.cds", LISTENERS: "listener_manager.lds", ROUTES: "http.ingress.rds.ingress"}
# Clusters wait for the first checks of their upstreams, and meanwhile requests go to the old ones.
_WARMING = ("cluster_manager.warming_clusters", "listener_manager.total_listeners_warming")
_WANTED = r"\.(version_text|update_rejected|warming_clusters|total_listeners_warming)$"

Statistics = Mapping[str, int | str]


class ConfigurationRefused(Exception):
    """Envoy goes on with what it had. Its reasons are in its log."""


class EnvoyFiles:
    def __init__(self, folder: Path, admin_socket: Path) -> None:
        self.folder = folder
        self._admin_socket = admin_socket

    def write(self, content: Discovered) -> None:
        """For an Envoy that starts."""
        for file in _STATISTICS:
            self._replace(file, content)

    async def change(self, old: Discovered, new: Discovered) -> None:
        """Returns when requests meet the new configuration.

        Raises ConfigurationRefused if Envoy refuses that, when requests meet the old one again. A cluster is
        there before the first request that is routed to it, and until the last one.
        """
        before = await self._statistics()
        both = new.with_clusters_of(old)
        try:
            for content, *files in ((both, CLUSTERS), (new, LISTENERS, ROUTES), (new, CLUSTERS)):
                for file in files:
                    self._replace(file, content)
                await self.taken(content, *files, before=before)
        except ConfigurationRefused:
            before = await self._statistics()
            self.write(old)
            await self.taken(old, before=before)
            raise

    async def taken(self, content: Discovered, *files: str, before: Statistics | None = None) -> None:
        """Waits until Envoy works with these files, or with all.

        Raises ConfigurationRefused if it has refused one since `before`, or since its start.
        """
        wanted: Statistics = {
            **{f"{_STATISTICS[file]}.version_text": content.version(file) for file in files or _STATISTICS},
            **dict.fromkeys(_WARMING, 0),
        }
        try:
            async with asyncio.timeout(_TAKEN_WITHIN):
                while not wanted.items() <= (now := await self._statistics()).items():
                    if _rejected(now) > _rejected(before or {}):
                        raise ConfigurationRefused
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise PartFailed(f"envoy did not take its configuration within {_TAKEN_WITHIN:g} s") from None

    def _replace(self, file: str, content: Discovered) -> None:
        """Envoy notices only a file that is moved there."""
        new = self.folder / f"{file}.new"
        new.write_text(content.content(file), encoding="utf-8")
        new.replace(self.folder / file)

    async def _statistics(self) -> Statistics:
        """Nothing until the socket is there."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._admin_socket)
        except OSError:
            return {}
        try:
            path = f"/stats?format=json&filter={quote(_WANTED)}"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
        except OSError:  # it ends just now
            return {}
        finally:
            writer.close()
        return _parsed(answer)


def _rejected(statistics: Statistics) -> int:
    return sum(int(statistics.get(f"{name}.update_rejected", 0)) for name in _STATISTICS.values())


def _parsed(answer: bytes) -> Statistics:
    begin, end = answer.find(b"{"), answer.rfind(b"}")
    try:
        found = json.loads(answer[begin : end + 1])["stats"]
    except (ValueError, KeyError):  # it was cut off
        return {}
    return {stat["name"]: stat["value"] for stat in found if "name" in stat}
