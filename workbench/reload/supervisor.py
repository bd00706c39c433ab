"""What is decided: which process serves, when the next one takes over, what happens when one ends."""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.errors import UsageError
from workbench.reload import sources
from workbench.reload.environment import Environment
from workbench.reload.probe import Probe
from workbench.reload.report import Report
from workbench.reload.sources import Change, Watcher
from workbench.reload.spawner import Child, Spawner, SpawnError
from workbench.reload.stopgap import Reason, Stopgap

READY_WITHIN = 10.0  # s
MIGRATED_WITHIN = 300.0
TRIAL = 2.0  # s in which the old process waits whether the new one stays alive
RETRY_AFTER = 5.0  # s after a process was not ready in time: the database may be back
BACKOFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # s before the next start after a crash
GONE_AFTER = 3  # crashes in a row
STABLE_AFTER = 30.0  # s without a crash that end a row of them


class NotReadyError(Exception):
    """The new code cannot serve; the message is one sentence, `lines` are the error's."""

    def __init__(self, sentence: str, child: Child | None = None, *, retry: bool = False) -> None:
        super().__init__(sentence)
        self.lines = list(child.last_lines) if child else []
        self.retry = retry


@dataclass(slots=True)
class Serving:
    """A process that accepts, and what it runs."""

    child: Child
    version: str
    settings: dict[str, str]
    since: float
    probe: Probe | None = None


class Supervisor:
    """Runs until it is stopped; then its exit status is that of a clean stop, 0."""

    def __init__(
        self,
        spawner: Spawner,
        watcher: Watcher,
        stopgap: Stopgap,
        report: Report,
        environment: Environment,
        addresses: tuple[tuple[str, int], tuple[str, int]],
        close_listeners: Callable[[], None],
    ) -> None:
        self._spawner = spawner
        self._watcher = watcher
        self._stopgap = stopgap
        self._report = report
        self._environment = environment
        self._api_address, self._ops_address = addresses
        self._close_listeners = close_listeners
        self._serving: Serving | None = None
        self._standby: Serving | None = None
        self._candidate: Child | None = None
        self._leaving: set[Child] = set()
        self._farewells: set[asyncio.Task[None]] = set()
        self._migrated = sources.migrations_version()
        self._crashes = 0
        self._retry_at: float | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Serve, and follow the changes, until stop()."""
        await self._stopgap.start()
        watching = asyncio.create_task(self._watcher.run())
        try:
            change = Change()
            while not self._stopping.is_set():
                await self._update(change, time.time())
                change = await self._wait_for_change()
        finally:
            watching.cancel()
            await self._end()
        return 0

    def stop(self, number: signal.Signals) -> None:
        """Pass the signal on: the serving process drains as it would on its own."""
        self._stopping.set()
        self._stopgap.stop()
        self._close_listeners()  # or clients would wait in a queue that nobody reads
        if self._serving:
            self._serving.child.send(number)
        for child in (*self._leaving, *([self._candidate] if self._candidate else [])):
            child.send(signal.SIGINT)

    # What happens next.

    async def _wait_for_change(self) -> Change:
        """Returns when something is to be done: files have changed, a retry is due, the process has crashed."""
        while not self._stopping.is_set():
            timeout = None if self._retry_at is None else max(self._retry_at - time.monotonic(), 0)
            serving = self._serving.child if self._serving else None
            await self._first_of(self._watcher.changed, ended=serving, timeout=timeout)
            if self._stopping.is_set():
                break
            if serving is not None and serving.ended.done():
                await self._crashed()
                continue
            change = await self._watcher.take()
            if change or (self._retry_at is not None and time.monotonic() >= self._retry_at):
                self._retry_at = None
                return change
        return Change()

    async def _update(self, change: Change, detected: float) -> None:
        """Bring the files' code into service; if it cannot serve, whoever serves goes on."""
        if change.packages:
            self._report.say("the installed packages have changed: the next process starts from a new template")
            await self._spawner.renew()
        try:
            settings = self._environment.settings()
            version = sources.version()
            if self._is_serving(version, settings) and not change.packages:
                if self._report.stale:
                    self._report.up_to_date()
                    self._report.say(f"the files are what runs again, version {version}")
                return
            begin = min([detected, *(sources.saved_at(path, detected) for path in change.files)])
            before = await self._answered(self._serving)
            await self._migrate(settings)
            child = await self._start(version, settings)
        except (NotReadyError, SpawnError, UsageError) as error:
            if not self._stopping.is_set():
                self._failed(error)
            return
        await self._hand_over(Serving(child, version, settings, time.monotonic()), change, begin, before)

    def _is_serving(self, version: str, settings: dict[str, str]) -> bool:
        serving = self._serving
        return serving is not None and (serving.version, serving.settings) == (version, settings)

    async def _migrate(self, settings: dict[str, str]) -> None:
        wanted = sources.migrations_version()
        if wanted == self._migrated or not self._environment.can_migrate:
            return
        child = await self._spawner.spawn("service.migrate", settings)
        await self._first_of(ended=child, timeout=MIGRATED_WITHIN)
        if not child.ended.done():
            child.send(signal.SIGKILL)
            raise NotReadyError(f"the migration did not finish within {MIGRATED_WITHIN:g} s", child)
        if child.ended.result() != 0:
            raise NotReadyError(_first_line(child) or "the migration failed", child)
        self._migrated = wanted

    async def _start(self, version: str, settings: dict[str, str]) -> Child:
        child = self._candidate = await self._spawner.spawn(
            "service", {**settings, "SERVICE_VERSION": version, "SERVICE_LISTEN": "ready"}
        )
        try:
            deadline = time.monotonic() + READY_WITHIN
            while not child.ready.is_set():
                if self._serving is None:
                    # Nothing is lost by waiting on, for a database for example; but a new save is worth more.
                    self._stopgap.reason = Reason(f"The service is starting ({child.status}).")
                    await self._first_of(child.ready, self._watcher.changed, ended=child, timeout=0.5)
                    superseded = self._watcher.changed.is_set()
                else:
                    within = deadline - time.monotonic()
                    await self._first_of(child.ready, ended=child, timeout=max(within, 0))
                    superseded = False
                if child.ready.is_set():
                    break
                if child.ended.done():
                    raise NotReadyError(
                        _first_line(child) or f"it ended with status {child.ended.result()}: its log says why", child
                    )
                if superseded:
                    raise NotReadyError("the files have changed again", child)
                if self._stopping.is_set():
                    raise NotReadyError("stopping", child)
                if self._serving is not None and time.monotonic() >= deadline:
                    raise NotReadyError(f"not ready within {READY_WITHIN:g} s: {child.status}", child, retry=True)
        except NotReadyError:
            child.send(signal.SIGKILL)
            raise
        finally:
            self._candidate = None
        return child

    async def _hand_over(self, new: Serving, change: Change, begin: float, before: int | None) -> None:
        old, self._serving = self._serving, new
        if old is None:
            self._stopgap.stop()
        else:
            old.child.send(signal.SIGHUP)
        if self._stopping.is_set():
            new.child.send(signal.SIGTERM)
            return
        self._retry_at = None
        if self._standby is not None:  # of a change just before: two changes back is too far to return to
            self._dismiss(self._standby)
        self._standby = old
        if old is not None:
            self._remember(asyncio.create_task(self._end_trial(old, new)))
        await self._first_answer(new)
        seconds = time.time() - begin
        self._report.reloaded(seconds)
        if old is None:
            self._report.say(f"version {new.version} serves")
            return
        meanwhile = ""
        if before is not None and (after := await self._answered(old)) is not None:
            meanwhile = f", {after - before} requests answered meanwhile"
        what = str(change) or "the same files"
        self._report.say(f"{what}: version {new.version} answers after {seconds * 1000:.0f} ms{meanwhile}")

    def _failed(self, error: Exception) -> None:
        lines = error.lines if isinstance(error, NotReadyError) else []
        self._report.failed()
        if isinstance(error, NotReadyError) and error.retry:
            self._retry_at = time.monotonic() + RETRY_AFTER
        if self._serving is not None:
            self._report.say(
                f"the new code does not serve: {error}; version {self._serving.version} goes on, older than the files"
            )
        else:
            self._stopgap.reason = Reason(f"The code does not serve: {error}", lines)
            self._report.say(f"the code does not serve: {error}; nothing serves until the next save")

    async def _crashed(self) -> None:
        """The serving process has ended by itself."""
        assert self._serving is not None  # noqa: S101 - only then there is something to end
        crashed, self._serving = self._serving, None
        status = crashed.child.ended.result()
        reason = _first_line(crashed.child) or f"status {status}"
        self._report.crashed()
        if self._standby is not None and not self._standby.child.ended.done():
            self._serving, self._standby = self._standby, None
            self._serving.child.send(signal.SIGUSR1)
            self._report.failed()
            self._report.say(
                f"version {crashed.version} ended right after its start ({reason}); "
                f"version {self._serving.version} serves again, older than the files"
            )
            return
        self._stopgap.reason = Reason(f"The service has crashed: {reason}", list(crashed.child.last_lines))
        await self._stopgap.start()
        if time.monotonic() - crashed.since > STABLE_AFTER:
            self._crashes = 0
        delay = BACKOFF[min(self._crashes, len(BACKOFF) - 1)]
        self._crashes += 1
        self._retry_at = time.monotonic() + delay
        gone = self._crashes >= GONE_AFTER
        self._report.say(
            f"the service crashed ({reason}); "
            + (f"{self._crashes} times in a row: there is no good code left to serve; " if gone else "")
            + (f"next start in {delay:g} s, or with the next save" if delay else "starting it again")
        )

    # The old process.

    async def _end_trial(self, old: Serving, new: Serving) -> None:
        """Send the old process away once the new one has proven itself."""
        await self._first_of(ended=new.child, timeout=TRIAL)
        if self._standby is old and not new.child.ended.done():
            self._standby = None
            self._dismiss(old)

    def _dismiss(self, old: Serving) -> None:
        """Let its requests finish and its streams end; it leaves by itself."""
        if old.probe is not None:
            old.probe.close()
        self._leaving.add(old.child)
        old.child.ended.add_done_callback(lambda _: self._leaving.discard(old.child))
        old.child.send(signal.SIGINT)

    async def _end(self) -> None:
        """Wait for everyone to leave; their own limits bound how long."""
        standby = [self._standby.child] if self._standby else []
        for child in standby:
            child.send(signal.SIGINT)
        serving = [self._serving.child] if self._serving else []
        remaining = [child.ended for child in (*self._leaving, *standby, *serving)]
        if remaining:
            await asyncio.wait(remaining)
        for task in self._farewells:
            task.cancel()
        await self._spawner.close()

    # What is told of a reload.

    async def _first_answer(self, new: Serving) -> None:
        """The first request that the new process answers is ours, so the time told is measured, not guessed."""
        try:
            probe = await Probe.connect(self._api_address)
            await probe.get("/")
            probe.close()
            new.probe = await Probe.connect(self._ops_address)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self._report.say(f"version {new.version} did not answer a first request: {error}")

    async def _answered(self, serving: Serving | None) -> int | None:
        return await serving.probe.answered() if serving and serving.probe else None

    # Waiting.

    async def _first_of(
        self, *events: asyncio.Event, ended: Child | None = None, timeout: float | None = None
    ) -> None:
        """Returns when an event is set or the process has ended; at the timeout; at stop()."""
        tasks = [asyncio.create_task(event.wait()) for event in (*events, self._stopping)]
        futures: list[asyncio.Future[Any]] = [*tasks, *([ended.ended] if ended else [])]
        try:
            await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _remember(self, task: "asyncio.Task[None]") -> None:
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


def _first_line(child: Child) -> str | None:
    return next((line for line in child.last_lines if line.strip()), None)
