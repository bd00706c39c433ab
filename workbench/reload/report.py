"""What the supervisor tells: one line for each reload, and a few metrics for Prometheus."""

import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from workbench.reload.code import ROOT
from workbench.reload.receipt import NOTHING, Receipt
from workbench.reload.sources import Change, saved_at
from workbench.reload.states import SupervisorState
from workbench.reload.verdict import VerdictFile

_STAGES = ("watched", "forked", "imported", "created", "ready", "rehearsed", "handed over", "answered")
"""The stages of a reload, in this order; for each one the time of its end is recorded."""

_MANY_CRASHES = 3  # in a row


@dataclass(slots=True)
class Reload:
    """One reload, from the save on."""

    change: Change
    before: int | None = None
    """The requests that the old process had answered when the reload began."""
    after: int | None = None
    """The same when it handed over."""
    remark: str = ""
    """What the rehearsal has left out."""
    receipt: Receipt = NOTHING
    stages: dict[str, float] = field(default_factory=lambda: {"watched": time.time()})

    @property
    def saved(self) -> float:
        watched = self.stages["watched"]
        return min([watched, *(saved_at(path, watched) for path in self.change.files)])

    @property
    def seconds(self) -> float:
        return self.stages["answered"] - self.saved

    @property
    def parts(self) -> dict[str, float]:
        """The seconds of each stage. A stage without a record is part of the next one."""
        parts, begin = {}, self.saved
        for stage in _STAGES:
            if (end := self.stages.get(stage)) is not None:
                parts[stage] = max(end - begin, 0.0)
                begin = max(end, begin)
        return parts


class Report:
    """Lines on stderr, a file of metrics that the service adds to its own (SERVICE_METRICS_FILE), and the verdict."""

    def __init__(self, metrics_file: Path, verdict: VerdictFile) -> None:
        self._metrics_file = metrics_file
        self._verdict = verdict
        self._reloads = {"ok": 0, "failed": 0}
        self._crashes = 0
        self._state = SupervisorState.STARTING
        self._last: Reload | None = None
        self._write()

    def say(self, line: str) -> None:
        self.pass_on(f"reload: {line}")

    def pass_on(self, line: str) -> None:
        """Write a line of a process of the service."""
        with suppress(OSError):  # the terminal may be gone; the service goes on
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def entered(self, state: SupervisorState) -> None:
        """The supervisor is in a state now."""
        if state is not self._state:
            self._state = state
            self._write()

    def tries(self, version: str, seen: tuple[str, str | None]) -> None:
        """What follows is about this version. `seen` is git's folder, and the branch."""
        self._verdict.tries(version, seen)

    def still_serves(self) -> None:
        """What was tried serves already."""
        self._verdict.still_serves()

    def answers(self, reload: Reload) -> None:
        """New code serves. started() or reloaded() says so."""
        self._reloads["ok"] += 1
        self._last = reload
        self._write()

    def started(self, version: str) -> None:
        """Nothing served before."""
        self._verdict.serves(version)
        self.say(f"version {version} serves")

    def reloaded(self, reload: Reload, version: str) -> None:
        """New code serves, and it is known what it has changed."""
        self._verdict.serves(version, reload.seconds, reload.receipt)
        meanwhile = ""
        if reload.before is not None and reload.after is not None:
            meanwhile = f", {reload.after - reload.before} requests answered meanwhile"
        remark = f", {reload.remark}" if reload.remark else ""
        receipt = f"; {reload.receipt}" if str(reload.receipt) else ""
        what = str(reload.change) or "the same files"
        took = f"{reload.seconds * 1000:.0f} ms"
        self.say(f"{what}: version {version} answers after {took}{meanwhile}{remark}{receipt}")

    def restored(self, version: str) -> None:
        """The files are what serves again."""
        self._verdict.serves(version)
        self.say(f"the files match the serving version {version} again")

    def refused(self, why: str, serving: str) -> None:
        """The new code cannot serve, so a version that is older keeps serving."""
        self._failed()
        self._verdict.refuses(why, serving)
        self.say(f"the new code does not serve: {why}; version {serving} keeps serving, older than the files")

    def refused_all(self, why: str, next_start: float | None) -> None:
        """Nothing serves; the next start is in so many seconds, if it does not wait for a save."""
        self._failed()
        self._verdict.refuses(why)
        when = "with the next save" if next_start is None else f"in {next_start:g} s, or with the next save"
        self.say(f"the code does not serve: {why}; nothing serves; next start {when}")

    def took_back(self, failed: str, why: str, version: str) -> None:
        """The new version `failed` during its trial, and the one before it serves again."""
        self._crashes += 1
        self._failed()
        self._verdict.tries(failed)
        self._verdict.refuses(f"it ended right after its start: {why}", version)
        self.say(
            f"version {failed} ended right after its start ({why}); "
            f"version {version} serves again, older than the files"
        )

    def crashed(self, why: str, in_a_row: int, next_start: float) -> None:
        """Nothing serves for so many seconds."""
        self._crashes += 1
        self._write()
        self._verdict.refuses(f"the service crashed: {why}")
        gone = ""
        if in_a_row >= _MANY_CRASHES:
            gone = f"{in_a_row} times in a row: there is no good code left to serve; "
        when = f"next start in {next_start:g} s, or with the next save" if next_start else "starting it again"
        self.say(f"the service crashed ({why}); {gone}{when}")

    def left_out(self, change: Change) -> None:
        """What cannot be code has no effect."""
        for path, why in change.unusable.items():
            self.say(f"{path.relative_to(ROOT)} is left out of the code: {why}")

    def not_watching(self, error: Exception, again_after: float) -> None:
        """No change is noticed for so many seconds."""
        if not isinstance(error, OSError | RuntimeError):  # watchfiles raises both
            self.unexpected(error)
        self.say(f"the files cannot be watched: {describe(error)}; trying again in {again_after:g} s")

    def unexpected(self, error: BaseException) -> None:
        """An error of the supervisor itself, shown and counted as a failed reload."""
        self.show(error)
        self._failed()

    def show(self, error: BaseException) -> None:
        """Say what happened and where, then write the traceback."""
        where = "an unknown place"
        if frames := traceback.extract_tb(error.__traceback__):
            own = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)] or frames
            file = Path(own[-1].filename)
            name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
            where = f"{name}:{own[-1].lineno}, {own[-1].name}"
        self.say(f"unexpected error in {where}: {describe(error)}; live reload continues")
        self.pass_on("".join(traceback.format_exception(error)).rstrip())

    def metrics(self) -> str:
        """In Prometheus's text format."""
        last = self._last
        results = {f'{{result="{result}"}}': count for result, count in self._reloads.items()}
        stages = {f'{{stage="{stage}"}}': seconds for stage, seconds in (last.parts if last else {}).items()}
        stale = int(self._state.is_stale)
        lines: list[str] = []
        for name, kind, meaning, samples in (
            ("reloads_total", "counter", "Reloads by result.", results),
            (
                "reload_crashes_total",
                "counter",
                "How often the serving process ended by itself.",
                {"": self._crashes},
            ),
            ("reload_code_stale", "gauge", "1 if the running code is older than the files.", {"": stale}),
            ("reload_last_seconds", "gauge", "Last reload, save to answer.", {"": last.seconds if last else 0.0}),
            ("reload_last_stage_seconds", "gauge", "Last reload, by stage.", stages),
        ):
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{labels} {value}" for labels, value in samples.items()]
        return "\n".join(lines) + "\n"

    def _failed(self) -> None:
        self._reloads["failed"] += 1
        self._write()

    def _write(self) -> None:
        new = self._metrics_file.with_suffix(".new")
        try:
            new.write_text(self.metrics())
            new.rename(self._metrics_file)
        except OSError as error:
            self.say(f"the metrics cannot be written: {error}")


def describe(error: BaseException) -> str:
    """An error in one line: its type and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
