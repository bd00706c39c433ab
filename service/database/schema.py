"""The version of the schema: the number of the newest migration of each sequence."""

from collections.abc import Mapping
from typing import TypeAlias

SchemaVersion: TypeAlias = Mapping[str, int]
"""By the name of the sequence, which is that of its folder in migrations/; "" is the folder itself."""


def includes(found: SchemaVersion, needed: SchemaVersion) -> bool:
    """Whether code that needs one version works with a schema that has the other one."""
    return all(found.get(sequence, 0) >= number for sequence, number in needed.items())


def text(version: SchemaVersion) -> str:
    """Such as `service 3, shared 1`."""
    return ", ".join(f"{sequence or 'service'} {number}" for sequence, number in sorted(version.items())) or "none"
