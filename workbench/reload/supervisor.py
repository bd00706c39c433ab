"""What is decided: which process serves, when the next one takes over, what happens when one ends."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

from workbench.errors import UsageError
from workbench.reload import code
from workbench.reload.candidate import (
    Migrations,
    NotReadyError,
    Serving,
    SupersededError,
    become_ready,
    first_of,
    reason,
)
from workbench.reload.environment import Environment
from workbench.reload.probe import Probe
from workbench.reload.report import Reload, Report
from workbench.reload.sources import Change, Watcher
from workbench.reload.spawner import Child, Spawner, SpawnError
from workbench.reload.stopgap import Reason, Stopgap

HANDED_OVER_WITHIN = 1.0  # s; a process that is too busy for it keeps the connections that it has
TRIAL = 2.0  # s in which the old process waits whether the new one stays alive
LEAVES_WITHIN = 60.0  # s; longer than any grace: a process that is stuck
RETRY_AFTER = 5.0  # s after a process was not ready in time: the database may be back
BACKOFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # s before the next start after a crash
GONE_AFTER = 3  # crashes in a row
STABLE_AFTER = 30.0  # s without a crash that end a row of them


class Supervisor:
    """Runs until it is stopped; then its exit status is that of a clean stop, 0."""

    def __init__(
        self,
        spawner: Spawner,
        watcher: Watcher,
        stopgap: Stopgap,
        report: Report,
        environment: Environment,
        probe: Probe,
        close_listeners: Callable[[], None],
        ready_within: float,
    ) -> None:
        self._spawner = spawner
        self._watcher = watcher
        self._stopgap = stopgap
        self._report = report
        self._environment = environment
        self._probe = probe
        self._close_listeners = close_listeners
        self._ready_within = ready_within
        self._migrations = Migrations(spawner)
        self._serving: Serving | None = None
        self._standby: Serving | None = None
        self._candidate: Child | None = None
        self._leaving: set[Child] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refused: tuple[str, dict[str, str]] | None = None
        self._refused_at = 0.0
        self._crashes = 0
        self._retry_at: float | None = None
        self._crash = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Serve, and follow the changes, until stop()."""
        await self._stopgap.start()
        watching = asyncio.create_task(self._keep_watching())
        try:
            change = Change()
            while not self._stopping.is_set():
                await self._update(change)
                change = await self._wait_for_change()
        finally:
            watching.cancel()
            await self._end()
        return 0

    async def _keep_watching(self) -> None:
        while True:
            try:
                await self._watcher.run()
            except* Exception as errors:
                reasons = ", ".join(str(error) or type(error).__name__ for error in errors.exceptions)
                self._report.say(f"the files cannot be watched: {reasons}; trying again in {RETRY_AFTER:g} s")
            await asyncio.sleep(RETRY_AFTER)

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
        """Returns when something is to be done: files have changed, or a retry is due."""
        while not self._stopping.is_set():
            timeout = None if self._retry_at is None else max(self._retry_at - time.monotonic(), 0)
            self._crash.clear()
            await first_of(self._watcher.changed, self._crash, self._stopping, timeout=timeout)
            if self._stopping.is_set():
                break
            change = await self._watcher.take()
            if change or (self._retry_at is not None and time.monotonic() >= self._retry_at):
                self._retry_at = None
                return change
        return Change()

    async def _update(self, change: Change) -> None:
        """Bring the files' code into service; if it cannot serve, whoever serves goes on."""
        reload = Reload(change)
        tried = None
        if change.packages:
            self._report.say("the installed packages have changed: the next process starts from a new template")
            await self._spawner.renew()
        try:
            settings = self._environment.settings()
            files = code.read()
            version = code.version(files)
            if self._is_serving(version, settings) and not change.packages:
                if self._report.stale:
                    self._report.up_to_date()
                    self._report.say(f"the files are what runs again, version {version}")
                return
            tried = (version, settings)
            if tried == self._refused and change.is_before(self._refused_at):
                return  # told late: what was refused had been read after it
            counting = asyncio.create_task(self._probe.answered())
            if self._environment.can_migrate:
                await self._migrations.apply(files, settings, self._stopping)
            child = await self._start(settings)
        except SupersededError:
            return
        except (NotReadyError, SpawnError, UsageError) as error:
            self._refused, self._refused_at = tried, reload.stages["watched"]
            self._failed(error)
            return
        self._refused = None
        await self._hand_over(Serving(child, settings, time.monotonic()), reload, counting)

    def _is_serving(self, version: str, settings: dict[str, str]) -> bool:
        serving = self._serving
        return serving is not None and (serving.version, serving.settings) == (version, settings)

    async def _start(self, settings: dict[str, str]) -> Child:
        child = self._candidate = await self._spawner.spawn("service", {**settings, "SERVICE_LISTEN": "told"})
        try:
            while not child.ready.is_set():
                if self._serving is not None:
                    await become_ready(child, self._ready_within, self._crash, self._stopping)
                else:
                    # Nothing is lost by waiting on, for a database for example; but a new save is worth more.
                    self._stopgap.reason = Reason(f"The service is starting ({child.status}).")
                    await become_ready(child, None, child.news, self._watcher.changed, self._stopping)
                    child.news.clear()
                    if self._watcher.changed.is_set() and not child.ready.is_set():
                        raise SupersededError
                self._crash.clear()
                if self._stopping.is_set():
                    raise SupersededError
        except (NotReadyError, SupersededError):
            child.send(signal.SIGKILL)
            raise
        finally:
            self._candidate = None
        return child

    async def _hand_over(self, new: Serving, reload: Reload, before: "asyncio.Task[int | None]") -> None:
        """From here on the new process answers, and nobody else."""
        reload.stages["ready"] = time.time()
        if self._stopping.is_set():
            self._dismiss(new)
            return
        old, self._serving = self._serving, new
        if self._standby is not None:  # of a change just before: two changes back is too far to return to
            self._dismiss(self._standby)
        self._standby = old
        self._retry_at = None
        self._remember(self._watch(new))
        if old is None:
            self._stopgap.stop()
        else:
            old.child.send(signal.SIGHUP)
            await first_of(old.child.handed_over, self._stopping, ended=old.child, timeout=HANDED_OVER_WITHIN)
            reload.after = old.child.answered
            if not (old.child.handed_over.is_set() or old.child.ended.done() or self._stopping.is_set()):
                self._report.say(f"version {old.version} is too busy to hand over: it may answer for a while")
        new.child.send(signal.SIGUSR1)
        reload.stages = new.child.stages | reload.stages | {"handed over": time.time()}
        if old is not None:
            self._remember(self._end_trial(old, new))
        await self._first_answer(new)
        if self._serving is new and not self._stopping.is_set():
            reload.stages["answered"] = time.time()
            reload.before = await before
            self._report.reloaded(reload, new.version, first=old is None)

    def _failed(self, error: Exception) -> None:
        lines = error.lines if isinstance(error, NotReadyError) else []
        self._report.failed()
        if isinstance(error, NotReadyError) and error.retry:
            self._retry_at = time.monotonic() + RETRY_AFTER
        if self._serving is not None:
            self._report.say(
                f"the new code does not serve: {error}; version {self._serving.version} goes on, older than the files"
            )
            return
        self._stopgap.reason = Reason(f"The code does not serve: {error}", lines)
        next_try = "with the next save"
        if self._crashes:  # it did serve once: what keeps it from starting may pass
            next_try = f"in {self._back_off():g} s, or {next_try}"
        self._report.say(f"the code does not serve: {error}; nothing serves, the next try is {next_try}")

    # When a process ends by itself.

    async def _watch(self, serving: Serving) -> None:
        await first_of(ended=serving.child)
        if self._serving is not serving or self._stopping.is_set():
            return
        self._serving = None
        self._report.crashed()
        why = reason(serving.child)
        if self._standby is not None and not self._standby.child.ended.done():
            self._take_back(self._standby, serving.version, why)
        else:
            await self._replace(serving, why)
        self._crash.set()

    def _take_back(self, standby: Serving, failed: str, why: str) -> None:
        self._serving, self._standby = standby, None
        standby.child.send(signal.SIGUSR1)
        self._remember(self._watch(standby))
        self._report.failed()
        self._report.say(
            f"version {failed} ended right after its start ({why}); "
            f"version {standby.version} serves again, older than the files"
        )

    async def _replace(self, crashed: Serving, why: str) -> None:
        if time.monotonic() - crashed.since > STABLE_AFTER:
            self._crashes = 0
        delay = self._back_off()
        gone = ""
        if self._crashes >= GONE_AFTER:
            gone = f"{self._crashes} times in a row: there is no good code left to serve; "
        self._stopgap.reason = Reason(f"The service has crashed: {why}", list(crashed.child.last_lines))
        self._report.say(
            f"the service crashed ({why}); {gone}"
            + (f"next start in {delay:g} s, or with the next save" if delay else "starting it again")
        )
        await self._stopgap.start()
        if self._serving is not None or self._stopping.is_set():  # another one was just about to take over
            self._stopgap.stop()

    def _back_off(self) -> float:
        delay = BACKOFF[min(self._crashes, len(BACKOFF) - 1)]
        self._crashes += 1
        self._retry_at = time.monotonic() + delay
        return delay

    # The old process.

    async def _end_trial(self, old: Serving, new: Serving) -> None:
        """Send the old process away once the new one has proven itself."""
        await first_of(self._stopping, ended=new.child, timeout=TRIAL)
        if self._standby is old and not new.child.ended.done():
            self._standby = None
            self._dismiss(old)

    def _dismiss(self, old: Serving) -> None:
        """Let its requests finish and its streams end; it leaves by itself."""
        self._leaving.add(old.child)
        old.child.send(signal.SIGINT)
        self._remember(self._see_off(old))

    async def _see_off(self, old: Serving) -> None:
        await first_of(ended=old.child, timeout=LEAVES_WITHIN)
        if not old.child.ended.done():
            self._report.say(f"version {old.version} does not end: killing it")
            old.child.send(signal.SIGKILL)
        self._leaving.discard(old.child)

    async def _end(self) -> None:
        """Wait for everyone to leave; their own limits bound how long."""
        if self._standby:
            self._standby.child.send(signal.SIGINT)
        remaining = [child.ended for child in self._leaving]
        remaining += [serving.child.ended for serving in (self._standby, self._serving) if serving]
        if remaining:
            await asyncio.wait(remaining)
        for task in self._tasks:
            task.cancel()
        await self._spawner.close()

    async def _first_answer(self, new: Serving) -> None:
        """The first request that the new process answers is ours, so the time told is measured, not guessed."""
        asking = asyncio.create_task(self._probe.first_answer())
        either: list[asyncio.Future[Any]] = [asking, new.child.ended]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            asking.cancel()
        elif error := asking.result():
            self._report.say(f"version {new.version} did not answer a first request: {error}")

    def _remember(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
