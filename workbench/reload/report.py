"""What the supervisor says: one line for each reload for people, a few metrics for Prometheus."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from workbench.reload.sources import Change, saved_at

_STAGES = ("watched", "forked", "imported", "created", "ready", "handed over", "answered")
"""What a reload consists of, in this order; each is told by the time of its end."""


@dataclass(slots=True)
class Reload:
    """One reload, from the save on."""

    change: Change
    before: int | None = None
    """The requests that the old process had answered when the reload began."""
    after: int | None = None
    """And when it handed over."""
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
        """The seconds of each stage. A stage that was not told is part of the next one."""
        parts, begin = {}, self.saved
        for stage in _STAGES:
            if (end := self.stages.get(stage)) is not None:
                parts[stage] = max(end - begin, 0.0)
                begin = max(end, begin)
        return parts


class Report:
    """Lines on stderr, and a file of metrics that the service adds to its own (SERVICE_METRICS_FILE)."""

    def __init__(self, metrics_file: Path) -> None:
        self._metrics_file = metrics_file
        self._reloads = {"ok": 0, "failed": 0}
        self._crashes = 0
        self.stale = False
        """Whether the running code is older than the files."""
        self._last: Reload | None = None
        self._write()

    def say(self, line: str) -> None:
        sys.stderr.write(f"reload: {line}\n")
        sys.stderr.flush()

    def pass_on(self, line: str) -> None:
        """A line of a process of the service."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def reloaded(self, reload: Reload, version: str, *, first: bool) -> None:
        """`first`: nobody served before."""
        self._reloads["ok"] += 1
        self._last = reload
        self.up_to_date()
        if first:
            self.say(f"version {version} serves")
            return
        meanwhile = ""
        if reload.before is not None and reload.after is not None:
            meanwhile = f", {reload.after - reload.before} requests answered meanwhile"
        what = str(reload.change) or "the same files"
        self.say(f"{what}: version {version} answers after {reload.seconds * 1000:.0f} ms{meanwhile}")

    def up_to_date(self) -> None:
        self.stale = False
        self._write()

    def failed(self) -> None:
        self._reloads["failed"] += 1
        self.stale = True
        self._write()

    def crashed(self) -> None:
        self._crashes += 1
        self._write()

    def metrics(self) -> str:
        """In Prometheus's text format."""
        last = self._last
        results = {f'{{result="{result}"}}': count for result, count in self._reloads.items()}
        stages = {f'{{stage="{stage}"}}': seconds for stage, seconds in (last.parts if last else {}).items()}
        lines: list[str] = []
        for name, kind, meaning, samples in (
            ("reloads_total", "counter", "Reloads, by how they ended.", results),
            ("reload_crashes_total", "counter", "Times that the serving process ended.", {"": self._crashes}),
            ("reload_code_stale", "gauge", "1 if the running code is older than the files.", {"": int(self.stale)}),
            ("reload_last_seconds", "gauge", "Last reload, save to answer.", {"": last.seconds if last else 0.0}),
            ("reload_last_stage_seconds", "gauge", "What it consisted of.", stages),
        ):
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{labels} {value}" for labels, value in samples.items()]
        return "\n".join(lines) + "\n"

    def _write(self) -> None:
        new = self._metrics_file.with_suffix(".new")
        new.write_text(self.metrics())
        new.rename(self._metrics_file)
