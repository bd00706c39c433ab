"""A cluster for the commands that change one: the kubectl of kubectl.py, in front of a real PostgreSQL."""

import json
import subprocess
import sys
from pathlib import Path

from tests.cluster import kubectl
from tests.cluster.test_commands import run
from tests.k8s.objects import find
from tests.k8s.project import Object
from workbench.parts.postgres import SUPERUSER, Postgres, program


class Fake:
    def __init__(self, folder: Path, objects: list[Object]) -> None:
        self._folder = folder
        self._state = folder / kubectl.STATE
        self._state.write_text(json.dumps({"objects": objects}))

    def set(self, **state: object) -> None:
        self._state.write_text(json.dumps(json.loads(self._state.read_text()) | state))

    def run(self, postgres: Postgres | None, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Runs python -m, whose psql reaches this PostgreSQL, if any, whatever the pod."""
        path = f"PATH={program('psql').parent}:/usr/bin:/bin"
        script = f'{path} exec {sys.executable} -S {kubectl.__file__} {self._folder} "$@"'
        environment = {"PGUSER": SUPERUSER, "AT": "", "TO": ""}
        if postgres:
            environment["PGHOST"] = str(postgres.sockets)
        return run(*command, kubectl=script, programs=str(self._folder), **{**environment, **variables})

    def objects(self) -> list[Object]:
        found: list[Object] = json.loads(self._state.read_text())["objects"]
        return found

    def find(self, kind: str, name: str) -> Object:
        return find(self.objects(), kind, name)

    def names(self, kind: str) -> list[str]:
        return [item["metadata"]["name"] for item in self.objects() if item["kind"] == kind]

    def calls(self) -> list[list[str]]:
        file = self._folder / kubectl.CALLS
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
