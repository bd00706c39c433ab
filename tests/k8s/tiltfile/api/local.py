"""The machine that Tilt runs on: its commands, its environment and its current cluster."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.k8s.tiltfile.blob import Blob
from tests.k8s.tiltfile.values import Functions, Strings, as_command, opaque


class Local:
    def __init__(self, machine: Callable[[list[str]], str], environment: Mapping[str, str], context: str) -> None:
        self._machine = machine
        self._environment = environment
        self._context = context

    def functions(self) -> Functions:
        return {
            "local": self._local,
            "os.getenv": self._getenv,
            "k8s_context": lambda: self._context,
        }

    def _local(
        self,
        command: Strings,
        quiet: bool = False,
        command_bat: Strings = "",
        echo_off: bool = False,
        env: Mapping[str, str] | None = None,
        dir: str = "",
        stdin: str | Blob | None = None,
    ) -> Any:
        return opaque(Blob(self._machine(list(as_command(command)))))

    def _getenv(self, key: str, default: str | None = None) -> str | None:
        return self._environment.get(key, default)
