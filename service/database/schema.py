"""The version of the schema: the number of the newest applied migration of each of its two sequences."""

from typing import Literal, NamedTuple, TypeAlias

Sequence: TypeAlias = Literal["shared", "service"]


class SchemaVersion(NamedTuple):
    """As text `shared.service`, such as 1.3."""

    shared: int = 0
    """What all resources share: migrations/shared/."""
    service: int = 0
    """The tables of the service: migrations/."""

    def __str__(self) -> str:
        return f"{self.shared}.{self.service}"

    def includes(self, other: "SchemaVersion") -> bool:
        """Whether code that needs `other` works with this schema."""
        return self.shared >= other.shared and self.service >= other.service
