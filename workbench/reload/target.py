"""What should serve, and how long its processes may take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds; None is no limit."""

    ready_within: float | None
    """How long a candidate may take to become ready while another process serves."""
    drained_within: float | None = 60.0
    """More than any grace, so a process that takes longer is stuck."""


@dataclass(frozen=True, slots=True)
class Target:
    """What should serve: the files and the variables as they were at one moment."""

    version: str
    environment: Mapping[str, str]
    files: Mapping[Path, bytes] = field(default_factory=dict, compare=False)
