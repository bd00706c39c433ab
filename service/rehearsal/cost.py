"""What a request costs: its SQL statements and its time until its answer begins. Compares old code with new code."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from time import perf_counter

from service.tracing.hooks import EndSpan, Tracing

_TIMES = 2
_STATEMENTS = 5
_MILLISECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Cost:
    statements: Mapping[str, int]
    """How often each one ran, by its name."""
    milliseconds: float

    @property
    def total(self) -> int:
        return sum(self.statements.values())


class Meter:
    """Measures one request that is being handled."""

    def __init__(self) -> None:
        self._statements: Counter[str] = Counter()
        self._started = perf_counter()

    def count(self, statement: str) -> None:
        self._statements[statement] += 1

    @property
    def cost(self) -> Cost:
        """Until now."""
        return Cost(dict(self._statements), round((perf_counter() - self._started) * 1000, 1))


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


@dataclass(slots=True)
class Change:
    """A request on old code and on new code. Of several times that were measured, the shortest one counts."""

    old: Cost
    new: Cost
    _measured: int = field(default=0, init=False)

    def measure(self, old: Cost, new: Cost) -> None:
        """Take the costs of both, measured in the same way; what was known before is forgotten."""
        if self._measured:
            old = replace(old, milliseconds=min(old.milliseconds, self.old.milliseconds))
            new = replace(new, milliseconds=min(new.milliseconds, self.new.milliseconds))
        self.old, self.new = old, new
        self._measured += 1

    @property
    def is_large(self) -> bool:
        return self.in_statements or self.in_time

    @property
    def in_statements(self) -> bool:
        """Twice as many or half as many, or five more or fewer: a statement for each row of a list shows at once."""
        few, many = sorted((self.old.total, self.new.total))
        return many != few and (many >= _TIMES * few or many - few >= _STATEMENTS)

    @property
    def in_time(self) -> bool:
        """More than twice or less than half, by more than five milliseconds."""
        short, long = sorted((self.old.milliseconds, self.new.milliseconds))
        return long > _TIMES * short and long - short > _MILLISECONDS

    def __str__(self) -> str:
        """`1 -> 21 statements (20 times thing_get), 3 -> 9 ms`."""
        parts = []
        if self.in_statements:
            parts.append(f"{self.old.total} -> {self.new.total} statements{self._repeated}")
        if self.in_time:
            parts.append(f"{self.old.milliseconds:.0f} -> {self.new.milliseconds:.0f} ms")
        return ", ".join(parts)

    @property
    def _repeated(self) -> str:
        """The statement that runs more often now, if it runs often."""
        before, now = self.old.statements, self.new.statements
        name = max(now, key=lambda name: now[name] - before.get(name, 0), default="")
        times = now.get(name, 0)
        return f" ({times} times {name})" if times >= _STATEMENTS and times > before.get(name, 0) else ""
