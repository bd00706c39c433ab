"""What a request costs: its SQL statements and its time until its answer begins. Compares old code with new code."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from time import perf_counter

from service.tracing.hooks import EndSpan, Tracing

_TIMES = 2
_STATEMENTS = 5
_MILLISECONDS = 5.0
_OTHERS_WAIT = 3  # times as long


@dataclass(frozen=True, slots=True)
class Cost:
    statements: Mapping[str, int]
    """How often each one ran, by its name."""
    milliseconds: float
    waited: float = 0.0
    """For how many of them this process had no CPU, although it could have run."""

    @property
    def total(self) -> int:
        return sum(self.statements.values())

    @property
    def at_least(self) -> float:
        """The milliseconds on an idle machine. On a busy one PostgreSQL waits for a CPU too."""
        return self.milliseconds - _OTHERS_WAIT * self.waited


class Meter:
    """Measures one request that is being handled."""

    def __init__(self) -> None:
        self._statements: Counter[str] = Counter()
        self._started, self._waited = perf_counter(), _waited()

    def count(self, statement: str) -> None:
        self._statements[statement] += 1

    @property
    def cost(self) -> Cost:
        """Until now."""
        seconds, waited = perf_counter() - self._started, _waited() - self._waited
        return Cost(dict(self._statements), round(seconds * 1000, 1), round(waited * 1000, 1))


def _waited() -> float:
    """For how many seconds this process had no CPU although it could have run; 0.0 if the system does not tell."""
    try:
        file = os.open("/proc/self/schedstat", os.O_RDONLY)
    except OSError:
        return 0.0
    try:
        return int(os.read(file, 100).split()[1]) / 1e9
    finally:
        os.close(file)


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def measured() -> Iterator[Meter]:
    """Measure what the block does, and the tasks that it creates."""
    meter = Meter()
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def counting(tracing: Tracing) -> Tracing:
    """These hooks, which also count statements."""

    def start_statement(name: str, sql: str) -> EndSpan | None:
        if (meter := _current.get()) is not None:
            meter.count(name)
        return tracing.start_statement(name, sql)

    return replace(tracing, start_statement=start_statement)


class Change:
    """A request on old code and on new code.

    A busy machine makes any request slow now and then. So times differ only if the least time of the slower code is
    more than the longest one of the other.
    """

    def __init__(self, old: Cost, new: Cost) -> None:
        self._old, self._new = [old], [new]
        self._measured = False

    def measure(self, old: Cost, new: Cost) -> None:
        """Take the costs of both, measured in the same way; what was known before the first time is forgotten."""
        if not self._measured:
            self._old, self._new = [], []
        self._measured = True
        self._old.append(old)
        self._new.append(new)

    @property
    def is_large(self) -> bool:
        return self.in_statements or self.in_time

    @property
    def in_statements(self) -> bool:
        """Twice as many or half as many, or five more or fewer: a statement for each row of a list shows at once."""
        few, many = sorted((self._old[-1].total, self._new[-1].total))
        return many != few and (many >= _TIMES * few or many - few >= _STATEMENTS)

    @property
    def in_time(self) -> bool:
        """More than twice or less than half, by more than five milliseconds."""
        for slow, fast in ((self._old, self._new), (self._new, self._old)):
            least, most = min(cost.at_least for cost in slow), max(cost.milliseconds for cost in fast)
            if least > _TIMES * most and least - most > _MILLISECONDS:
                return True
        return False

    def __str__(self) -> str:
        """`1 -> 21 statements (20 times thing_get), 3 -> 9 ms`."""
        parts = []
        if self.in_statements:
            parts.append(f"{self._old[-1].total} -> {self._new[-1].total} statements{self._repeated}")
        if self.in_time:
            old, new = (min(cost.milliseconds for cost in costs) for costs in (self._old, self._new))
            parts.append(f"{old:.0f} -> {new:.0f} ms")
        return ", ".join(parts)

    @property
    def _repeated(self) -> str:
        """The statement that runs more often now, if it runs often."""
        before, now = self._old[-1].statements, self._new[-1].statements
        name = max(now, key=lambda name: now[name] - before.get(name, 0), default="")
        times = now.get(name, 0)
        return f" ({times} times {name})" if times >= _STATEMENTS and times > before.get(name, 0) else ""
