"""`make dev` takes what is saved under k8s/ while it runs, or says what to do.

The rules of the ingress and of Prometheus are loaded at once. If they are wrong, those of before go on.
"""

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import watchfiles

from workbench.console import Console
from workbench.errors import PartFailed, WorkbenchError
from workbench.identity.registered import CONFIGURATION
from workbench.ingress.bootstrap import IngressRuleError
from workbench.ingress.pod_labels import pod_labels
from workbench.machine.contents import Contents, changed, contents
from workbench.machine.folders import MANIFESTS, ROLES, SERVICE_MANIFESTS, display_path
from workbench.parts.postgres import SUPERUSER
from workbench.parts.prometheus import rule_files
from workbench.reload.sources import saved_at
from workbench.stack import Stack

QUIET = 100  # ms without another event: the saves of a checkout, or of an editor that writes in steps, are one change
AGAIN = 5.0  # s until it looks although there was no event, which not every file system has, or watches again

_NAMES = 2


class Kind(NamedTuple):
    """Files that are taken together."""

    part: str
    read: Callable[[], Contents]
    take: Callable[[Sequence[Path]], Awaitable[str]]
    """Gets the files that have changed. Returns what to say about them; nothing if that is nothing."""


class Manifests:
    """What was in the files before the stack reads them, to find what has changed since then."""

    def __init__(
        self, stack: Stack, console: Console, *, roles: Path = ROLES, service: Path = SERVICE_MANIFESTS
    ) -> None:
        self._stack = stack
        self._console = console
        self._service = service
        self._roles_at_start = contents([roles])
        options = stack.options
        of_provider = [options.provider / CONFIGURATION] if options.provider else []
        rules = (options.rules, *options.components)
        others = (*rules, options.alerts, roles.parent, service)
        self._folders = [MANIFESTS, *(folder for folder in others if not folder.is_relative_to(MANIFESTS))]
        with_labels = [service / "deployment.yaml", service / "kustomization.yaml"]
        self._kinds = [
            Kind("envoy", lambda: contents(file for file in _in(rules) if file not in of_provider), self._ingress),
            Kind("postgres", lambda: contents([roles]), self._roles),
            Kind("service", lambda: contents(with_labels), self._labels),
            Kind("identity", lambda: contents(of_provider), self._provider),
        ]
        if options.prometheus:
            self._kinds.append(Kind("prometheus", lambda: rule_files(options.alerts), self._alerts))
        self._seen = [kind.read() for kind in self._kinds]

    async def keep_taking(self) -> None:
        """Until it is cancelled. The stack has to run."""
        while True:
            try:
                await self.take_changes()
                async for _ in watchfiles.awatch(
                    *self._folders,
                    watch_filter=None,
                    step=QUIET,
                    rust_timeout=round(AGAIN * 1000),
                    yield_on_timeout=True,
                    ignore_permission_denied=True,
                ):
                    await self.take_changes()
            except Exception as error:
                self._console.say(f"reload: k8s/: {error!r}; looking again in {AGAIN:g} s")
            await asyncio.sleep(AGAIN)

    async def take_changes(self) -> None:
        for index, kind in enumerate(self._kinds):
            before, now = self._seen[index], kind.read()
            self._seen[index] = now
            if not (files := changed(before, now)):
                continue
            try:
                said = await kind.take(files)
            except PartFailed as error:
                self._seen[index] = before
                said = f"{_names(files)}: {error}; trying again in {AGAIN:g} s"
            except WorkbenchError as error:
                said = f"{error}; the rules before it go on"
            if said:
                self._console.log(kind.part, f"reload: {said}")

    async def _ingress(self, files: Sequence[Path]) -> str:
        envoy = self._stack.envoy
        was_refused = envoy.refused
        try:
            if await envoy.reload():
                answer = f"answer after {_since(files)}" if envoy.running else "answer when envoy runs again"
                return f"{_names(files)}: the rules {answer}"
        except IngressRuleError as error:
            return f"{_located(error)}; the rules before it go on"
        again = "the rules match those that answer again" if was_refused else "nothing changes for this ingress"
        return f"{_names(files)}: {again}"

    async def _alerts(self, files: Sequence[Path]) -> str:
        if self._stack.prometheus and await self._stack.prometheus.reload():
            return f"{_names(files)}: the rules are loaded after {_since(files)}"
        return f"{_names(files)}: the rules match those that are loaded"

    async def _roles(self, files: Sequence[Path]) -> str:
        if contents(files) == self._roles_at_start:
            return ""
        psql = f"psql {shlex.quote(self._stack.postgres.url(SUPERUSER))}"
        return (
            f"{_names(files)}: only a new database gets it: run what is new in it with `{psql}`, "
            "or stop, `make reset`, and start again"
        )

    async def _provider(self, files: Sequence[Path]) -> str:
        return f"{_names(files)}: the identity provider reads it when it starts: stop, and start `make dev` again"

    async def _labels(self, files: Sequence[Path]) -> str:
        try:
            if pod_labels(self._service) == self._stack.labels:
                return ""
        except IngressRuleError as error:
            return f"{_located(error)}; the replicas keep their labels"
        return f"{_names(files)}: replicas get their labels when they start: stop, and start `make dev` again"


def _in(folders: Sequence[Path]) -> Iterable[Path]:
    return chain(*(folder.glob("*.yaml") for folder in folders))


def _names(files: Sequence[Path]) -> str:
    names = [display_path(path) for path in files]
    return ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")


def _since(files: Sequence[Path]) -> str:
    now = time.time()
    return f"{(now - min(saved_at(path, now) for path in files)) * 1000:.0f} ms"


def _located(error: IngressRuleError) -> str:
    return str(error).replace(str(error.file), display_path(error.file), 1)
