"""A Prometheus with the cluster's rules and alerts, if Prometheus is installed."""

import asyncio
import json
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from workbench.console import Console
from workbench.errors import PartFailed, StepFailed
from workbench.ingress import statistics as envoy_stats
from workbench.machine.contents import Contents, contents
from workbench.machine.folders import display_path
from workbench.options import StackOptions
from workbench.parts.envoy import Envoy
from workbench.parts.probe import READY_WITHIN, until_ok
from workbench.parts.process import Part
from workbench.parts.replica import Replica
from workbench.project import NAME

STOP_WITHIN = 1.0

_LOADED = 'msg="Completed loading of configuration file"'
_NOT_LOADED = 'msg="Error reloading config"'
_WRONG_RULES = 'msg="loading groups failed"'
_SHOWN = re.compile(r"\blevel=(warn|error)", re.IGNORECASE)
_ERROR = re.compile(r'\berr="((?:[^"\\]|\\.)*)"')


class Prometheus:
    """Scrapes the replicas and Envoy, with the job names of the cluster.

    Once it has started, it works with the same rules until reload(), also when it starts again: with a copy of them.
    """

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
        self._alerts = options.alerts
        self._copy = run / "prometheus-rules"
        self._rules: Contents | None = None
        self._wrong: list[str] = []
        """What it has said about rules while it loaded them."""
        self._loading: asyncio.Future[bool] | None = None
        self._changing = asyncio.Lock()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        async with self._changing:
            await self._start(rule_files(self._alerts) if self._rules is None else self._rules)

    async def reload(self) -> bool:
        """Takes the rules from the files. Returns whether they are others than before.

        Raises StepFailed if they are wrong, and PartFailed if it does not run: then those of before go on.
        """
        async with self._changing:
            old, new = self._rules, rule_files(self._alerts)
            if old is None or not (self.part and self.part.running):
                raise PartFailed("prometheus does not run")
            if new == old:
                return False
            try:
                await self._load(new, self.part)
            except (StepFailed, PartFailed):
                with suppress(StepFailed, PartFailed):
                    await self._load(old, self.part)
                raise
            self._rules = new
            return True

    async def stop(self) -> None:
        if self.part:
            await self.part.stop((signal.SIGTERM, STOP_WITHIN))

    async def _start(self, rules: Contents) -> None:
        self._wrong, self._loading = [], None
        self._write(rules)
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
            "--log.level=info",  # says when the rules are loaded
            console=self._console,
            on_line=self._on_line,
        )
        try:
            await self.part.becomes_ready(until_ok(self.port, "/-/ready", READY_WITHIN))
        except PartFailed as error:
            if self._wrong:
                raise StepFailed(f"the rules of Prometheus are wrong: {self._wrong[0]}") from error
            raise PartFailed(f"{error}: `make dev PROMETHEUS=no` starts without it") from error
        self._rules = rules

    async def _load(self, rules: Contents, part: Part) -> None:
        """Raises StepFailed with what it says about rules that are wrong."""
        self._write(rules)
        self._wrong = []
        self._loading = asyncio.get_running_loop().create_future()
        part.send(signal.SIGHUP)
        await part.becomes_ready(_within(self._loading))
        if not self._loading.result():
            unknown = f"Prometheus refuses what is in {display_path(self._alerts)}"
            raise StepFailed(self._wrong[0] if self._wrong else unknown)

    def _write(self, rules: Contents) -> None:
        """At the same paths as before, so that alerts which are about to fire are not forgotten."""
        shutil.rmtree(self._copy, ignore_errors=True)
        self._copy.mkdir()
        for path, content in rules.items():
            if isinstance(content, str):
                raise StepFailed(f"{display_path(path)}: {content}")
            (self._copy / path.name).write_bytes(content)

    def _on_line(self, line: str) -> bool:
        """Shows warnings and errors, but not those that reload() and start() raise."""
        if _WRONG_RULES in line:
            self._wrong.append(self._words(line))
            return False
        if (loading := self._loading) and not loading.done():
            if _LOADED in line or _NOT_LOADED in line:
                loading.set_result(_LOADED in line)
            return False
        return bool(_SHOWN.search(line))

    def _words(self, line: str) -> str:
        """The file, the line in it, and what is wrong there."""
        found = _ERROR.search(line)
        text = found[1].replace('\\"', '"').replace("\\n", " ").replace("\\t", " ") if found else line
        return " ".join(text.split()).replace(str(self._copy), display_path(self._alerts))

    def _configuration(self) -> Mapping[str, object]:
        intervals = ("scrape_interval", "scrape_timeout", "evaluation_interval")
        return {
            "global": dict.fromkeys(intervals, self._interval),
            "rule_files": [str(self._copy / "*.yaml")],
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


def rule_files(folder: Path) -> Contents:
    return contents(folder.glob("*.yaml"))


async def _within(loading: asyncio.Future[bool]) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN):
            await asyncio.wait({loading})
    except TimeoutError:
        raise PartFailed(f"prometheus did not load its rules within {READY_WITHIN:g} s") from None


def _target(port: int | None, instance: str) -> Mapping[str, object]:
    return {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "workbench", "instance": instance}}
