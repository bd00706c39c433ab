"""The processes of the service that run, and the ways in which they are told to leave."""

import asyncio
import signal
from collections.abc import Callable

from workbench.reload.service_process import ServiceProcess
from workbench.reload.states import ProcessState
from workbench.reload.tasks import first_of, in_background


class Processes:
    """All processes from their start to their end; `say` tells a person about one that has to be killed."""

    def __init__(self, say: Callable[[str], None], drained_within: float | None) -> None:
        self._say = say
        self._drained_within = drained_within
        self._processes: list[ServiceProcess] = []

    def add(self, process: ServiceProcess) -> None:
        self._processes = [*self._running(), process]

    @property
    def serving(self) -> ServiceProcess | None:
        return self._in(ProcessState.SERVING)

    @property
    def standby(self) -> ServiceProcess | None:
        return self._in(ProcessState.STANDBY)

    def drain(self, process: ServiceProcess) -> None:
        """Let its requests finish and its streams end, after which it exits."""
        process.become(ProcessState.DRAINING)
        in_background(self._kill_if_stuck(process))

    def stop(self, number: signal.Signals) -> None:
        """Let the serving process drain as it would by itself after this signal. May be called again."""
        for process in self._running():
            if process.state is ProcessState.SERVING:
                process.become(ProcessState.DRAINING, number)
            elif process.state is ProcessState.DRAINING:
                process.send(number)

    async def all_ended(self) -> None:
        """To be called after stop(). The limits of the service bound how long this takes."""
        if standby := self.standby:
            standby.become(ProcessState.DRAINING)
        if ends := [process.ended for process in self._running()]:
            await asyncio.wait(ends)

    def _running(self) -> list[ServiceProcess]:
        return [process for process in self._processes if not process.ended.done()]

    def _in(self, state: ProcessState) -> ServiceProcess | None:
        return next((process for process in self._running() if process.state is state), None)

    async def _kill_if_stuck(self, process: ServiceProcess) -> None:
        await first_of(process.ended, timeout=self._drained_within)
        if not process.ended.done():
            self._say(f"version {process.version} did not end within {self._drained_within:g} s: killing it")
            process.send(signal.SIGKILL)
