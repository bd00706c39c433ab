"""What a reload has changed for those who use the service."""

from collections.abc import Sequence
from dataclasses import dataclass

_MOST = 3  # of each kind, in a line


@dataclass(frozen=True, slots=True)
class Receipt:
    costs: Sequence[str] = ()
    """Routes that cost much more or less than before, such as `GET /things: 1 -> 21 statements`."""
    api: Sequence[str] = ()
    """Changes of the API, such as `GET /things added`; first those that break clients, which say so."""

    def __str__(self) -> str:
        """One line for people, which leaves out what is too much. Empty if there is nothing to say."""
        parts = [_cut(self.costs, "; ")] if self.costs else []
        if self.api:
            parts.append(f"API: {_cut(self.api, ', ')}")
        return "; ".join(parts)


NOTHING = Receipt()


def _cut(items: Sequence[str], separator: str) -> str:
    more = len(items) - _MOST
    return separator.join([*items[:_MOST], *([f"and {more} more"] if more > 0 else [])])
