"""make test-adopt: what the next user of this project does, from a clone to an upgrade, in a temporary folder.

A clone, `make adopt` without the example and users, `make resource`, `make lint`, `make test`, `make dev` with
requests through the ingress, the same with users, and `make upgrade`; then the tests of the manifests in copies
with other names. So all tests run in both forms: with users in the project, without them in the copy. Each step is
a line with its duration; the output of a step that fails follows, and the exit status is 1. Each copy installs a
virtual environment of its own, as a user's would.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError

import orjson

from adoption.git import Repository
from tests.adoption.adopt.copies import (
    COPIES,
    ENVIRONMENT,
    NOT_RENAMED,
    OLD_NAME,
    ROOT,
    clone,
    environment,
    mentions,
    publish,
    save,
)

OF_THE_NAME = "tests/k8s tests/cluster/test_commands.py tests/cluster/test_create.py tests/cluster/test_status.py"
"""The tests that see a name in manifests and commands. What else a command does is the same with each name."""

ANY_PORTS = {"INGRESS_PORT": "0", "API_PORT": "0", "OPS_PORT": "0", "PROMETHEUS": "no"}
EXAMPLE = re.compile(r"\bnotes?\b", re.IGNORECASE)
RESOURCES = ("booking", "booking_change", "z", "v" * 29)
JSON = {"content-type": "application/json"}
SAMPLES = {"string": "First", "integer": 1, "number": 1, "boolean": True}


class Failed(Exception):
    """A step failed; the text is its output, or what was wrong with it."""


class Newcomer:
    """A person with a clone of the project. `make` is their only tool, besides git."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.arguments = folder, arguments
        self.variables = environment()
        del self.variables["RUFF"]  # that of the clone's own environment formats the files

    def clone(self) -> None:
        self.upstream = publish(self.folder / "upstream")
        self.project = clone(self.upstream, self.folder / "harbor")
        if self.arguments.reuse:
            self._reuse(self.project)

    def adopt(self) -> None:
        self._make("adopt", "NAME=harbor", "EXAMPLE=drop", "IDENTITY=no")
        self._check(mentions(self.project, OLD_NAME) <= NOT_RENAMED, f"{OLD_NAME} is left")

    def add_resources(self) -> None:
        for name in RESOURCES:
            self._make("resource", f"NAME={name}")
        save(self.project, "Resources")

    def lint(self) -> None:
        self._make("lint")

    def test(self) -> None:
        if self.arguments.test:
            self._make("test", f"ARGS={self.arguments.test}")
        else:
            self._make("test")
            self._make("test-tools")

    def run(self) -> None:
        with self._running() as url:
            shown = {path: self._ask(f"{url}{path}", accept="text/html") for path in ("/", "/docs")}
            shown["/openapi.json"] = self._ask(f"{url}/openapi.json")
            for path, text in shown.items():
                self._check(OLD_NAME not in text.lower(), f"{path} shows {OLD_NAME}")
                self._check(not EXAMPLE.search(text), f"{path} shows the example")
            self._check("Harbor" in shown["/"], "the page does not show the title")
            description = orjson.loads(shown["/openapi.json"])
            created = orjson.loads(self._ask(f"{url}/bookings", content=sample(description, "/bookings")))
            read = orjson.loads(self._ask(f"{url}/bookings/{created['id']}"))
            self._check(read == created, f"what was created is {created}, what was read {read}")

    def run_with_users(self) -> None:
        with self._running("IDENTITY=yes") as url:
            try:
                answer = self._ask(f"{url}/bookings")
                raise Failed(f"without a token, {url}/bookings answers {answer}")
            except HTTPError as error:
                self._check(error.code == 401, f"without a token, {url}/bookings answers {error.code}")
            for role, count in (("", 0), ("admin", 1)):  # what was made without users belongs to nobody
                token = self._make("token", f"DATA={self.folder / 'data'}", *([f"ROLE={role}"] if role else []))
                found = orjson.loads(self._ask(f"{url}/bookings", token=token.split()[-1]))
                self._check(len(found["items"]) == count, f"with a token, {url}/bookings answers {found}")

    def upgrade(self) -> None:
        page = self.upstream.root / "docs" / "cluster.md"
        page.write_text(f"{page.read_text()}\nA later version of {OLD_NAME}.\n")
        save(self.upstream, "Later")
        self._make("upgrade")
        merged = (self.project.root / "docs" / "cluster.md").read_text()
        self._check(merged.endswith("\nA later version of harbor.\n"), "the later version is not there")
        self._check(mentions(self.project, OLD_NAME) <= NOT_RENAMED, f"{OLD_NAME} is back")
        self._check(not self.project.git("status", "--porcelain"), "the tree is not clean")

    def other_names(self) -> None:
        for number, chosen in enumerate(COPIES.values()):
            copy = clone(self.upstream, self.folder / f"copy-{number}")
            if self.arguments.reuse:
                self._reuse(copy)
            self._make("adopt", *(f"{name}={value}" for name, value in chosen.items()), where=copy)
            self._make("test", f"ARGS=-q -n auto --dist loadfile {OF_THE_NAME}", where=copy)

    def _reuse(self, copy: Repository) -> None:
        (copy.root / ".venv").symlink_to(ROOT / ".venv")
        (copy.root / ".git" / "info" / "exclude").write_text(".venv\n")  # .gitignore has .venv/, which is no link

    def _make(self, *arguments: str, where: Repository | None = None) -> str:
        """What a target prints."""
        done = subprocess.run(
            ("make", *arguments),
            cwd=(where or self.project).root,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"{done.stdout}\nmake {' '.join(arguments)}: exit status {done.returncode}")
        return done.stdout

    @contextmanager
    def _running(self, *arguments: str) -> Iterator[str]:
        """`make dev` on free ports until Ctrl-C; the URL of its ingress."""
        process = subprocess.Popen(
            (
                "make",
                "dev",
                *(f"{name}={value}" for name, value in ANY_PORTS.items()),
                f"DATA={self.folder / 'data'}",
                *arguments,
            ),
            cwd=self.project.root,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        assert process.stdout is not None
        printed = []
        try:
            for line in process.stdout:
                printed.append(line)
                if found := re.search(r"try: curl .*?(http://\S+?)/?$", line):
                    yield found[1]
                    return
            raise Failed("".join(printed))
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate()

    def _ask(
        self, url: str, *, content: bytes | None = None, accept: str = "application/json", token: str = ""
    ) -> str:
        """The text of an answer; a POST if there is content. Raises HTTPError for 400 and above."""
        headers = {**JSON, "accept": accept} | ({"authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(url, content, headers)  # noqa: S310 - it is http
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            text: str = answer.read().decode()
        return text

    def _check(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Failed(otherwise)


def sample(description: dict[str, Any], path: str) -> bytes:
    """A body that a POST to the path accepts, with all required fields."""
    body = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = description["components"]["schemas"][body["$ref"].rpartition("/")[2]] if "$ref" in body else body
    return orjson.dumps({name: SAMPLES[schema["properties"][name]["type"]] for name in schema["required"]})


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-adopt ARGS=...", description=__doc__)
    parser.add_argument("--reuse", action="store_true", help="take the virtual environment of this project")
    parser.add_argument("--test", metavar="ARGS", help="arguments of `make test`, such as tests/k8s")
    arguments = parser.parse_args()
    os.environ.update(ENVIRONMENT)  # for git
    with TemporaryDirectory(prefix="adopt-") as folder:
        person = Newcomer(Path(folder), arguments)
        steps: list[Callable[[], None]] = [
            person.clone,
            person.adopt,
            person.add_resources,
            person.lint,
            person.test,
            person.run,
            person.run_with_users,
            person.upgrade,
            person.other_names,
        ]
        for step in steps:
            begin = time.monotonic()
            print(f"{step.__name__.replace('_', ' '):16}", end="", flush=True)
            try:
                step()
            except Exception as error:
                print(f"failed after {time.monotonic() - begin:.1f} s\n{error}", file=sys.stderr)
                return 1
            print(f"{time.monotonic() - begin:7.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
