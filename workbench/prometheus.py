"""A Prometheus with the rules of the cluster, if the machine has one."""

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench import envoy_stats
from workbench.console import Console
from workbench.envoy import Envoy
from workbench.errors import PartFailed
from workbench.folders import ROOT
from workbench.probe import until_ok
from workbench.processes import Part
from workbench.replica import Replica

RULES = ROOT / "k8s" / "observability" / "prometheus" / "rules"
READY_WITHIN = 30.0
STOP_WITHIN = 1.0


class Prometheus:
    """Scrapes the replicas and Envoy under the names that they have in the cluster."""

    def __init__(
        self,
        program: str,
        port: int,
        targets: tuple[Sequence[Replica], Envoy],
        folders: tuple[Path, Path],
        console: Console,
        interval: float,
    ) -> None:
        self.port = port
        self.part: Part | None = None
        self._program = program
        self._replicas, self._envoy = targets
        self._data, self._run = folders
        self._console = console
        self._interval = interval

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        config = self._run / "prometheus.json"  # which is YAML too
        config.write_text(json.dumps(self._configuration(), indent=2), encoding="utf-8")
        self.part = await Part.start(
            "prometheus",
            self._program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._data / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
            console=self._console,
        )
        try:
            await self.part.becomes_ready(until_ok(self.port, "/-/ready", READY_WITHIN))
        except PartFailed as error:
            raise PartFailed(f"{error}: `make dev PROMETHEUS=no` does without it") from error

    async def stop(self) -> None:
        if self.part:
            await self.part.stop((signal.SIGTERM, STOP_WITHIN))

    def _configuration(self) -> Mapping[str, object]:
        interval = f"{round(self._interval * 1000)}ms"
        return {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [str(RULES / "*.yaml")],
            "scrape_configs": [
                {
                    "job_name": "slipway",
                    "static_configs": [_target(replica.ops_port, replica.name) for replica in self._replicas],
                },
                {
                    "job_name": "istio-ingressgateway",
                    "metrics_path": envoy_stats.PATH,
                    "static_configs": [_target(self._envoy.stats_port, "envoy")],
                },
                {"job_name": "prometheus", "static_configs": [_target(self.port, "prometheus")]},
            ],
        }


def _target(port: int | None, instance: str) -> Mapping[str, object]:
    return {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "workbench", "instance": instance}}
