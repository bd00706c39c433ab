"""A Prometheus with the cluster's rules and alerts, if Prometheus is installed."""

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.console import Console
from workbench.errors import PartFailed
from workbench.ingress import statistics as envoy_stats
from workbench.machine.folders import ROOT
from workbench.options import StackOptions
from workbench.parts.envoy import Envoy
from workbench.parts.probe import until_ok
from workbench.parts.process import Part
from workbench.parts.replica import Replica
from workbench.project import NAME

RULES = ROOT / "k8s" / "observability" / "prometheus" / "rules"
READY_WITHIN = 60.0
STOP_WITHIN = 1.0


class Prometheus:
    """Scrapes the replicas and Envoy, with the job names of the cluster."""

    def __init__(
        self, options: StackOptions, port: int, replicas: Sequence[Replica], envoy: Envoy, run: Path, console: Console
    ) -> None:
        self.port = port
        self.part: Part | None = None
        self._program = options.prometheus or "prometheus"
        self._data = options.data / "prometheus"
        self._interval = f"{round(options.scrape_interval * 1000)}ms"
        self._replicas = replicas
        self._envoy = envoy
        self._run = run
        self._console = console

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        config = self._run / "prometheus.json"  # JSON is also YAML
        config.write_text(json.dumps(self._configuration(), indent=2), encoding="utf-8")
        self.part = await Part.start(
            "prometheus",
            self._program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._data}",
            "--storage.tsdb.retention.size=512MB",  # a few days; it runs on a laptop
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
            console=self._console,
        )
        try:
            await self.part.becomes_ready(until_ok(self.port, "/-/ready", READY_WITHIN))
        except PartFailed as error:
            raise PartFailed(f"{error}: `make dev PROMETHEUS=no` starts without it") from error

    async def stop(self) -> None:
        if self.part:
            await self.part.stop((signal.SIGTERM, STOP_WITHIN))

    def _configuration(self) -> Mapping[str, object]:
        intervals = ("scrape_interval", "scrape_timeout", "evaluation_interval")
        return {
            "global": dict.fromkeys(intervals, self._interval),
            "rule_files": [str(RULES / "*.yaml")],
            "scrape_configs": [
                {
                    "job_name": NAME,
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
