"""What was measured, and what it means: medians, and ratios to the service within the same round."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One contender under load in one round. CPU is user and system time of its processes."""

    cpu_us: float
    """For each request."""
    rate: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class Series:
    """One contender at one endpoint (`via` "direct" or "envoy"): a sample for each round."""

    contender: str
    endpoint: str
    via: str
    samples: list[Sample] = field(default_factory=list)

    def median(self, measure: str) -> float:
        return statistics.median(self.values(measure))

    def values(self, measure: str) -> list[float]:
        return [getattr(sample, measure) for sample in self.samples]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of two series, round by round: a machine that was busy in one round was so for both."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f})"


def ratio(of: Series, to: Series, measure: str) -> Ratio:
    """How many times `to` is contained in `of`."""
    ratios = [
        mine / other for mine, other in zip(of.values(measure), to.values(measure), strict=True) if other > 0
    ] or [float("nan")]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def share(of: Series, to: Series, measure: str) -> float:
    """The ratio of the sums over all rounds: on a busy machine it differs less from run to run than any median."""
    return sum(of.values(measure)) / sum(to.values(measure))


def find(all_series: Sequence[Series], contender: str, endpoint: str, via: str) -> Series | None:
    return next(
        (
            series
            for series in all_series
            if (series.contender, series.endpoint, series.via) == (contender, endpoint, via)
        ),
        None,
    )
