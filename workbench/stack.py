"""All parts together, as one object: `make dev` runs it, and the tests run against it."""

import asyncio
import dataclasses
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from workbench.console import Console
from workbench.errors import PartFailed, StepFailed, UsageError
from workbench.identity.data import Files
from workbench.ingress.address import CLUSTER_URL
from workbench.ingress.bootstrap import IngressRuleError, Upstream
from workbench.ingress.pod_labels import pod_labels
from workbench.machine import ports
from workbench.machine.checkout import Checkout, find_checkout
from workbench.machine.commits import Commit, check_out, find_commit
from workbench.machine.folders import SERVICE_MANIFESTS, empty_folder, make_data_folder, run_folder, verdicts_folder
from workbench.machine.lock import data_lock
from workbench.options import SERVICE, StackOptions
from workbench.parts.envoy import Envoy
from workbench.parts.identity import Identity
from workbench.parts.pgdata import open_postgres
from workbench.parts.postgres import BRANCH_SETTING, SUPERUSER, Postgres
from workbench.parts.process import Part
from workbench.parts.prometheus import Prometheus
from workbench.parts.replica import Replica, migrate, service_environment
from workbench.parts.trial import LEFTOVERS

CANARY = {"version": "canary"}
"""What k8s/components/canary changes in the labels of its pods, beside those that run the stable version."""


Component: TypeAlias = Postgres | Replica | Identity | Envoy | Prometheus


class Stack:
    """`async with Stack(options, console) as stack:` starts all parts, or none, and stops them at the end.

    A part that ends inside the block is not restarted, because tests end parts on purpose; see restarts.py.
    """

    postgres: Postgres
    replicas: list[Replica]
    envoy: Envoy
    identity: Identity | None = None
    """The provider of the workbench, if it runs one."""
    prometheus: Prometheus | None = None
    labels: Mapping[str, str]
    """Of a replica of the stable version, as k8s/service/ had them at the start."""
    debug_port: int | None = None
    """Of 127.0.0.1: where a debugger can attach to the first replica."""
    stable: Commit | None = None
    """What the last replica runs, while the others run the working files."""

    def __init__(self, options: StackOptions, console: Console) -> None:
        self.options = options
        self._console = console
        self._undo = AsyncExitStack()
        self.components: list[Component] = []
        """In the order of their starts."""
        self.stopping = False

    @property
    def ingress_url(self) -> str:
        return f"http://localhost:{self.envoy.port}"

    async def __aenter__(self) -> "Stack":
        try:
            await self._start(self._undo)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    async def start_replica(self, index: int) -> Replica:
        """Starts a replica that has ended, on its old ports, and waits until it is ready."""
        replica = self.replicas[index]
        await replica.start()
        await replica.ready()
        return replica

    def kill_now(self) -> None:
        """Kills all parts, so that a stop in progress no longer waits for them."""
        for part in self._parts():
            part.kill_now()

    def _parts(self) -> list[Part]:
        return [component.part for component in self.components if component.part]

    async def _start(self, undo: AsyncExitStack) -> None:
        options, console = self.options, self._console
        if options.stable:
            self.stable = find_commit(options.stable, options.sources)
        checkout = find_checkout(options.sources, "BRANCH_DATABASES=yes") if options.branch_databases else None
        self.labels = labels = _labels()
        make_data_folder(options.data)
        undo.enter_context(data_lock(options.data))
        files = Files.of(options.data)
        files.url.unlink(missing_ok=True)  # of a workbench that was killed
        wanted = {
            "INGRESS_PORT": options.ingress_port,
            "API_PORT": options.api_port,
            "OPS_PORT": options.ops_port,
            "PROMETHEUS_PORT": options.prometheus_port if options.prometheus else 0,
            "DEBUG_PORT": options.debug_port if options.debug else 0,
        }
        ports.check(wanted)
        run = undo.enter_context(run_folder(options.data))

        settings = dict(options.postgres) | ({BRANCH_SETTING: "yes"} if checkout else {})
        self.postgres = await open_postgres(options.data, run, console, settings)
        self.components.append(self.postgres)
        undo.push_async_callback(self.postgres.stop)
        with console.step("postgres", "PostgreSQL 18"):
            await self.postgres.start()
        branch_variables = await self._follow_branch(checkout) if checkout else {}

        free = iter(ports.free(2 * options.replicas + 7, excluding=wanted.values()))
        prometheus_port = options.prometheus_port or next(free)
        env = service_environment(self.postgres, _links(options, prometheus_port) | dict(options.settings))
        env |= branch_variables
        with console.step("migrate", "schema up to date"):
            await asyncio.gather(migrate(env, console, options.sources), self.postgres.psql(LEFTOVERS))

        if options.debug:
            self.debug_port = options.debug_port or next(free)
        chosen = [(options.api_port, options.ops_port)] + [(0, 0)] * (options.replicas - 1)
        own_labels = {**labels, **CANARY} if self.stable else labels
        working = [
            Replica(f"service-{n}", api or next(free), ops or next(free), options, env, console, own_labels)
            for n, (api, ops) in enumerate(chosen, 1)
        ]
        verdicts = undo.enter_context(empty_folder(verdicts_folder(options.data)))
        for replica in working:
            replica.keep_verdict(verdicts / f"{replica.name}.json")
        self.replicas = list(working)
        if self.stable:
            old = dataclasses.replace(options, service=SERVICE, sources=run / "stable")
            versioned = env | {"SERVICE_VERSION": self.stable.short_id}
            self.replicas.append(Replica("stable", next(free), next(free), old, versioned, console, labels))
        if self.debug_port:
            self.replicas[0].debug(self.debug_port)
        upstreams = [Upstream(replica.api_port, replica.ops_port, replica.labels) for replica in self.replicas]
        ingress_port, identity_port, own_url = options.ingress_port or next(free), options.identity_port, CLUSTER_URL
        if options.provider:
            identity_port, own_url = next(free), f"http://localhost:{ingress_port}"
            self.identity = Identity(identity_port, own_url, options.provider, options.data, options.secrets, console)
            undo.callback(files.url.unlink, missing_ok=True)
        self.envoy = Envoy(
            ingress_port,
            upstreams,
            options.rules,
            run,
            console,
            stats_port=next(free),
            components=options.components,
            identity_port=identity_port,
            own_url=own_url,
            timeouts=not options.debug,  # or it would end a request whose process has stopped at a breakpoint
        )
        self.components += [*self.replicas, *([self.identity] if self.identity else []), self.envoy]
        undo.push_async_callback(self._stop_serving)
        with console.step("service", f"{options.replicas} replica{'s' * (options.replicas > 1)} ready"):
            for replica in working:
                await replica.start()
            await asyncio.gather(*(replica.ready() for replica in working))
        if self.stable:
            with console.step("stable", f"a replica with the files of {self.stable}"):
                await self._start_stable(self.stable, self.replicas[-1], run / "stable")
        if self.identity:
            with console.step("identity", "identity provider answers"):
                await self.identity.start()
                await asyncio.to_thread(files.url.write_text, own_url)
        with console.step("envoy", "ingress answers"):
            await self.envoy.start()
        if options.prometheus:
            self.prometheus = Prometheus(options, prometheus_port, self.replicas, self.envoy, run, console)
            self.components.append(self.prometheus)
            with console.step("prometheus", f"metrics and alerts, by {options.prometheus}"):
                await self.prometheus.start()

    async def _follow_branch(self, checkout: Checkout) -> dict[str, str]:
        """Begins with the database of the branch. Returns the variables with which the replicas follow it."""
        from workbench.parts.branch_databases import branch_databases

        server = self.postgres.url(SUPERUSER, "postgres")
        await checkout.settled()
        branch = checkout.branch()
        with self._console.step("postgres", f"database of {f'branch {branch}' if branch else 'the last branch'}"):
            async with branch_databases(server) as databases:
                self.postgres.database = (await databases.use(branch)).name
        return {"RELOAD_GIT_FOLDER": str(checkout.folder), "RELOAD_BRANCH_SERVER": server}

    async def _start_stable(self, commit: Commit, replica: Replica, files: Path) -> None:
        await asyncio.to_thread(check_out, commit, self.options.sources, files)
        await replica.start()
        try:
            await replica.ready()
        except PartFailed as error:
            raise UsageError(f"STABLE={commit.name}: the code of this commit does not start: {error}") from error

    async def _stop(self) -> None:
        self.stopping = True
        await self._undo.aclose()

    async def _stop_serving(self) -> None:
        """Stops all parts but PostgreSQL at once, without draining: the whole workbench stops."""
        await asyncio.gather(*(part.stop() for part in self.components if part is not self.postgres))


def _labels() -> Mapping[str, str]:
    """Those of a pod of the service, which runs the stable version until there is another one."""
    try:
        return pod_labels(SERVICE_MANIFESTS)
    except IngressRuleError as error:
        raise StepFailed(f"the labels of the service cannot be read: {error}") from error


def _links(options: StackOptions, prometheus_port: int) -> dict[str, str]:
    """The service's settings for the links on its page."""
    if options.prometheus is None:
        return {}
    return {"SERVICE_LINK_PROMETHEUS": f"http://localhost:{prometheus_port}/"}
