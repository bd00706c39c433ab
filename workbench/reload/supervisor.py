"""What is decided: which process serves, when the next one takes over, and what follows when one ends."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from workbench.errors import BranchDatabaseError, UsageError
from workbench.reload import code
from workbench.reload.branches import OneDatabase
from workbench.reload.candidate import NotReadyError, SupersededError, become_ready, reason
from workbench.reload.comparison import Comparison
from workbench.reload.fallback_responder import FallbackResponder, Reason
from workbench.reload.handover import hand_over
from workbench.reload.migrations import Migrations
from workbench.reload.probe import Probe
from workbench.reload.processes import Processes
from workbench.reload.report import Reload, Report, describe
from workbench.reload.retry import Retry
from workbench.reload.service_environment import ServiceEnvironment
from workbench.reload.service_process import ServiceProcess
from workbench.reload.sources import Change, Watcher
from workbench.reload.spawner import Spawner, SpawnError
from workbench.reload.states import SUPERVISOR_TRANSITIONS, Event, ProcessState, SupervisorState
from workbench.reload.target import Limits, Target
from workbench.reload.tasks import first_of, in_background

_TRIAL = 2.0  # s in which the old process is on standby in case the new one ends


class Supervisor:
    """Runs until it is stopped; states.py has its states."""

    def __init__(
        self,
        spawner: Spawner,
        watcher: Watcher,
        fallback: FallbackResponder,
        report: Report,
        environment: ServiceEnvironment,
        probe: Probe,
        comparison: Comparison,
        close_listeners: Callable[[], None],
        limits: Limits,
        database: OneDatabase,
    ) -> None:
        self._spawner = spawner
        self._watcher = watcher
        self._fallback = fallback
        self._report = report
        self._environment = environment
        self._probe = probe
        self._comparison = comparison
        self._close_listeners = close_listeners
        self._ready_within = limits.ready_within
        self._database = database
        self._migrations = Migrations(spawner, environment.owner_url, report.say) if environment.owner_url else None
        self._state = SupervisorState.STARTING
        self._processes = Processes(report.say, limits.drained_within)
        self._retry = Retry()
        self._refused: tuple[Target, float] | None = None  # the last one that cannot serve, and when it was read
        self._serving_ended = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stop_signal = signal.SIGTERM

    async def run(self) -> int:
        """Serve and follow the changes until stop(). Returns the exit status of a clean stop, 0."""
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        await self._fallback.start()
        watching = in_background(self._watcher.run(self._report.not_watching))
        change = Change()
        try:
            while not self._stopping.is_set():
                with self._errors_reported():
                    await self._update(change)
                change = await self._next_change()
        finally:
            watching.cancel()
            await self._processes.all_ended()
            await self._spawner.close()
        return 0

    def stop(self, number: signal.Signals) -> None:
        """Stop as the service would by itself after this signal. May be called again."""
        self._become(Event.STOPPED)
        self._stop_signal = number
        self._stopping.set()
        self._fallback.stop()
        self._close_listeners()  # or clients would wait in a queue from which nothing accepts
        self._processes.stop(number)

    def _become(self, event: Event) -> None:
        self._state = SUPERVISOR_TRANSITIONS[self._state][event]
        self._report.entered(self._state)

    # Errors that nothing else handles.

    @contextmanager
    def _errors_reported(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._report.unexpected(error)

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error of a background task or a callback."""
        self._report.unexpected(context.get("exception") or RuntimeError(context["message"]))

    # Changes of the files.

    async def _next_change(self) -> Change:
        """Return when there is something to do: files have changed, or a retry is due."""
        while not self._stopping.is_set():
            self._serving_ended.clear()
            await first_of(
                self._watcher.changed, self._serving_ended, self._stopping, timeout=self._retry.seconds_left
            )
            if self._stopping.is_set():
                break
            is_due = self._retry.seconds_left == 0
            change = Change()
            with self._errors_reported():
                change = await self._watcher.take()
                self._report.left_out(change)
            if change or is_due:
                self._retry.cancel()
                return change
        return Change()

    async def _update(self, change: Change) -> None:
        """Bring the files' code into service. If it cannot serve, the serving process keeps serving."""
        reload = Reload(change)
        target = None
        try:
            if change.packages:
                self._report.say("the installed packages have changed: the next process starts from a new template")
                await self._spawner.renew()
            files = await self._database.read()
            version = code.version(files)
            self._report.tries(version, self._database.seen)
            variables = await self._database.variables(again=change.branch)
            target = Target(version, self._environment.read() | variables, files)
            if self._is_settled(target, change):
                return
            counting = asyncio.create_task(self._probe.answered())
            candidate = await self._start(target, change)
        except SupersededError:
            return
        except Exception as error:
            self._refused = (target, reload.stages["watched"]) if target else None
            self._refuse(error)
            return
        self._refused = None
        await self._take_over(candidate, target, reload, counting)

    def _is_settled(self, target: Target, change: Change) -> bool:
        """Whether the target serves already, or was refused just now."""
        serving = self._processes.serving
        if serving and target == Target(serving.version, serving.environment) and not change.packages:
            if self._state is SupervisorState.OUTDATED:
                self._become(Event.RESTORED)
                self._report.restored(target.version)
            self._report.still_serves()
            return True
        # A save may be noticed only after the files were read with it.
        return self._refused is not None and self._refused[0] == target and change.is_before(self._refused[1])

    # A candidate: from its start until it serves, or does not.

    async def _start(self, target: Target, change: Change) -> ServiceProcess:
        """A process that is ready to serve the target. Raises NotReadyError, SpawnError, SupersededError."""
        moved = partial(self._database.moved, target.version)
        if self._migrations:
            await self._migrations.apply(target, self._processes.serving, self._stopping, moved)
        candidate = await self._spawner.spawn("service", target.environment)
        self._processes.add(candidate)
        if not change.packages:  # on which the API depends too
            in_background(self._comparison.foresee(self._processes.serving, candidate, target))
        try:
            while not candidate.ready.is_set():
                await self._wait_until_ready(candidate)
            if moved():
                raise SupersededError
        except BaseException:
            candidate.send(signal.SIGKILL)
            raise
        return candidate

    async def _wait_until_ready(self, candidate: ServiceProcess) -> None:
        """Return when the candidate is ready, or when it has to be waited for in another way."""
        if self._processes.serving:
            await become_ready(candidate, self._ready_within, self._serving_ended, self._stopping)
        else:
            # Waiting, for a database for example, costs nothing while nothing serves; but a new save is worth more.
            self._fallback.reason = Reason(f"The service is starting ({candidate.status}).")
            await become_ready(candidate, None, candidate.status_changed, self._watcher.changed, self._stopping)
            candidate.status_changed.clear()
            if self._watcher.changed.is_set() and not candidate.ready.is_set():
                raise SupersededError
        self._serving_ended.clear()
        if self._stopping.is_set():
            raise SupersededError

    async def _take_over(
        self, new: ServiceProcess, target: Target, reload: Reload, counting: "asyncio.Task[int | None]"
    ) -> None:
        """Let the ready candidate serve. From here on exactly this version answers."""
        reload.stages["rehearsed"] = time.time()
        reload.remark = new.remark
        old = self._processes.serving
        if standby := self._processes.standby:  # two versions back is too far to return to
            self._processes.drain(standby)
        self._retry.cancel()
        try:
            if old is None:
                self._fallback.stop()
                new.become(ProcessState.SERVING)
            elif not await hand_over(old, new, self._stopping):
                self._report.say(f"version {old.version} is too busy to hand over: it may answer for a while")
        finally:
            self._become(Event.TOOK_OVER)
            in_background(self._watch(new))
            if old is not None:
                in_background(self._end_trial(old, new))
                in_background(self._database.tell_subscribers(old, new))
        reload.stages = new.stages | reload.stages | {"handed over": time.time()}
        reload.after = old.answered if old else None
        if self._stopping.is_set():
            new.become(ProcessState.DRAINING, self._stop_signal)
            return
        await self._first_answer(new)
        if new.state is ProcessState.SERVING and not new.ended.done():
            reload.stages["answered"] = time.time()
            reload.before = await counting
            self._report.answers(reload)
            if old is None:
                self._report.started(new.version)
                in_background(self._comparison.learn(new, target.files))
                return
            with self._errors_reported():
                others = self._watcher.changed, self._stopping
                reload.receipt = await self._comparison.receipt(old, new, target.files, *others)
            if new.state is ProcessState.SERVING and not new.ended.done():
                self._report.reloaded(reload, new.version)

    async def _first_answer(self, new: ServiceProcess) -> None:
        """Send the first request that the new process answers, so that the reported time is measured, not guessed."""
        asking = asyncio.create_task(self._probe.first_answer())
        await first_of(asking, new.ended)
        if not asking.done():
            asking.cancel()
        elif error := asking.result():
            self._report.say(f"version {new.version} did not answer its first request: {error}")

    def _refuse(self, error: Exception) -> None:
        """The target cannot serve."""
        if self._stopping.is_set():
            return
        self._become(Event.FAILED)
        why, lines = str(error), []
        if isinstance(error, NotReadyError):
            lines = error.lines
            if error.retry:
                self._retry.after_timeout()
        elif isinstance(error, BranchDatabaseError):
            self._retry.after_timeout()
        elif not isinstance(error, SpawnError | UsageError):
            self._report.show(error)
            why = f"{describe(error)}, an unexpected error of the supervisor"
        if serving := self._processes.serving:
            self._report.refused(why, serving.version)
            return
        self._fallback.reason = Reason(f"The code does not serve: {why}", lines)
        # After a crash the version has served before, so what keeps it from starting may pass.
        self._report.refused_all(why, self._retry.after_crash() if self._retry.crashes else None)

    # A process that ends by itself.

    async def _watch(self, serving: ServiceProcess) -> None:
        await first_of(serving.ended)
        if serving.state is not ProcessState.SERVING or self._processes.serving or self._stopping.is_set():
            return
        try:
            if standby := self._processes.standby:
                self._take_back(standby, serving)
            else:
                await self._restart(serving)
        finally:
            self._serving_ended.set()

    def _take_back(self, standby: ServiceProcess, crashed: ServiceProcess) -> None:
        standby.become(ProcessState.SERVING)
        self._become(Event.TOOK_BACK)
        self._report.took_back(crashed.version, reason(crashed), standby.version)

    async def _restart(self, crashed: ServiceProcess) -> None:
        self._become(Event.CRASHED)
        delay = self._retry.after_crash(crashed.serving_since)
        try:
            why = reason(crashed)
            self._fallback.reason = Reason(f"The service has crashed: {why}", list(crashed.last_lines))
            self._report.crashed(why, self._retry.crashes, delay)
        finally:
            await self._fallback.start()

    # The process that served before.

    async def _end_trial(self, old: ServiceProcess, new: ServiceProcess) -> None:
        """Let the old process leave when the new one has proven itself."""
        await first_of(self._stopping, new.ended, timeout=_TRIAL)
        if old is self._processes.standby and not new.ended.done():
            self._processes.drain(old)
