"""The environment variables of the service's processes: the supervisor's own, and what .env says now."""

from collections.abc import Mapping
from pathlib import Path

from workbench.machine.env_file import read_env_file

OWNER_URL = "SERVICE_DATABASE_OWNER_URL"


class ServiceEnvironment:
    """The supervisor's own variables take precedence over .env; variables that came from .env follow the file."""

    def __init__(self, variables: Mapping[str, str], env_file: Path, extra: Mapping[str, str]) -> None:
        """`extra` takes precedence over everything."""
        self._env_file = env_file
        from_file = read_env_file(env_file)
        self._given = {name: value for name, value in variables.items() if from_file.get(name) != value}
        self._extra = dict(extra)

    def read(self) -> dict[str, str]:
        """The variables of a new process. Raises UsageError naming the wrong line of .env."""
        return {**read_env_file(self._env_file), **self._given, **self._extra}

    @property
    def owner_url(self) -> str | None:
        """For migrations, if the supervisor applies them; in a cluster an init container does."""
        return self._given.get(OWNER_URL)
