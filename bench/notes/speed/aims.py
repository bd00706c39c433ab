"""The aims for the service, and whether it meets them."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.notes.speed.contenders import ON_UVICORN, ORIGINAL, REFERENCE, SERVICE
from bench.notes.speed.results import Series, find, ratio
from bench.notes.speed.startup import Startup

_CPU = ((SERVICE, 1.15), (ON_UVICORN, 0.75))
_RATE = ((SERVICE, 6.0), (ON_UVICORN, 10.0))


@dataclass(frozen=True, slots=True)
class Aim:
    what: str
    bound: float
    found: float
    is_minimum: bool = False
    """Whether `bound` is a minimum; otherwise it is a maximum."""

    @property
    def is_met(self) -> bool:
        return self.found >= self.bound if self.is_minimum else self.found <= self.bound


def aims(series: Sequence[Series], startup: Startup | None) -> list[Aim]:
    """The aims for which everything was measured."""
    return [*_of_load(series), *(_of_start(startup) if startup else ())]


def markdown(found: Sequence[Aim]) -> str:
    lines = ["| aim | | measured | |", "|---|---|---|---|"]
    for aim in found:
        bound = f"at {'least' if aim.is_minimum else 'most'} {aim.bound:g}"
        lines.append(f"| {aim.what} | {bound} | {aim.found:.2f} | {'met' if aim.is_met else 'missed'} |")
    return "\n".join(lines)


def _of_load(series: Sequence[Series]) -> Iterator[Aim]:
    for measure, peer, bounds in (("cpu_us", REFERENCE, _CPU), ("rate", ORIGINAL, _RATE)):
        other = find(series, peer.name, "note", "direct")
        for contender, bound in bounds:
            own = find(series, contender.name, "note", "direct")
            if own and other:
                what = "CPU for a note" if measure == "cpu_us" else "notes a second"
                found = ratio(own, other, measure).median
                yield Aim(f"{contender.name}: {what}, of {peer.name}'s", bound, found, measure == "rate")


def _of_start(startup: Startup) -> Iterator[Aim]:
    for what, bound, values in (
        ("`python -m service` ready, s", 0.7, startup.service_s),
        ("memory of an idle replica, MiB", 60, startup.idle_mib),
        ("`make dev` answers, warm, s", 3, startup.warm_s),
        ("`make dev` answers, nothing installed, packages cached, s", 60, startup.cold_s),
    ):
        yield Aim(what, bound, statistics.median(values))
