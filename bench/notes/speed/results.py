"""The measured samples, and their evaluation: medians, and ratios within the same round."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One contender under load in one round."""

    cpu_us: float
    """User and system time of its processes for each request."""
    rate: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class Series:
    """One contender at one endpoint, with one sample for each round. `via` is "direct" or "envoy"."""

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
    """The ratio of two series, round by round, since a machine that is busy in one round is busy for both."""

    median: float
    minimum: float
    maximum: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.minimum:.2f}-{self.maximum:.2f})"


def ratio(of: Series, to: Series, measure: str) -> Ratio:
    """Divides `of` by `to` in each round."""
    ratios = [
        mine / other for mine, other in zip(of.values(measure), to.values(measure), strict=True) if other > 0
    ] or [float("nan")]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def share(of: Series, to: Series, measure: str) -> float:
    """The ratio of the sums over all rounds, which varies less between runs than a median on a busy machine."""
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
