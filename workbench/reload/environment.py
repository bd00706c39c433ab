"""The environment of the service's processes: the supervisor's own, and what .env says at the moment."""

from collections.abc import Mapping
from pathlib import Path

from workbench.options import read_env_file


class Environment:
    """What was given to the supervisor wins over .env; what came from .env follows the file."""

    def __init__(self, variables: Mapping[str, str], env_file: Path, extra: Mapping[str, str]) -> None:
        self._env_file = env_file
        from_file = read_env_file(env_file)
        self._given = {name: value for name, value in variables.items() if from_file.get(name) != value}
        self._extra = dict(extra)

    def settings(self) -> dict[str, str]:
        """The variables of a new process. Raises UsageError naming the wrong line of .env."""
        return {**read_env_file(self._env_file), **self._given, **self._extra}

    @property
    def can_migrate(self) -> bool:
        """Whether the schema is ours to change; in a cluster an init container does it."""
        return "SERVICE_DATABASE_OWNER_URL" in self._given
