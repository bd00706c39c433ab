"""What the supervisor says: one line for each reload for people, a few metrics for Prometheus."""

import sys
from pathlib import Path


class Report:
    """Lines on stderr, and a file of metrics that the service adds to its own (SERVICE_METRICS_FILE)."""

    def __init__(self, metrics_file: Path) -> None:
        self._metrics_file = metrics_file
        self._reloads = {"ok": 0, "failed": 0}
        self._crashes = 0
        self.stale = False
        """Whether the running code is older than the files."""
        self._seconds = 0.0
        self._write()

    def say(self, line: str) -> None:
        sys.stderr.write(f"reload: {line}\n")
        sys.stderr.flush()

    def pass_on(self, line: str) -> None:
        """A line of a process of the service."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def reloaded(self, seconds: float) -> None:
        self._reloads["ok"] += 1
        self._seconds = seconds
        self.up_to_date()

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
        lines = ["# HELP reloads_total Reloads, by how they ended.", "# TYPE reloads_total counter"]
        lines += [f'reloads_total{{result="{result}"}} {count}' for result, count in self._reloads.items()]
        for name, kind, meaning, value in (
            ("reload_crashes_total", "counter", "Times that the serving process ended by itself.", self._crashes),
            ("reload_code_stale", "gauge", "1 if the running code is older than the files.", int(self.stale)),
            ("reload_last_seconds", "gauge", "Time of the last reload, save to first answer.", self._seconds),
        ):
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value}"]
        return "\n".join(lines) + "\n"

    def _write(self) -> None:
        new = self._metrics_file.with_suffix(".new")
        new.write_text(self.metrics())
        new.rename(self._metrics_file)
