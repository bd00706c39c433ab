"""The API server without a kubectl for each request, for steps that must not wait until one has started."""

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster.kubectl import ClusterError, command


@contextmanager
def api_server() -> Iterator["Api"]:
    """Through a `kubectl proxy` on a socket of this user. Raises ClusterError if it does not start."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "api"
        line, pipe = command("proxy", f"--unix-socket={path}"), subprocess.PIPE
        with subprocess.Popen(line, stdout=pipe, stderr=subprocess.STDOUT, text=True) as proxy:
            try:
                said = next(iter(proxy.stdout or ()), "")
                if not path.exists():
                    raise ClusterError(f"kubectl proxy: {said.strip() or 'it has ended'}")
                yield Api(path)
            finally:
                proxy.terminate()


class Api:
    def __init__(self, path: Path) -> None:
        self._path = path

    def patch(self, path: str, patch: Mapping[str, Any]) -> None:
        """Merges `patch` into an object. Raises ClusterError with the server's message if it refuses."""
        self._ask("PATCH", path, patch)

    def delete(self, path: str) -> None:
        """Raises ClusterError with the server's message if it refuses."""
        self._ask("DELETE", path)

    def changes(self, path: str, name: str, seconds: int) -> Iterator[dict[str, Any]]:
        """The object of this name in the collection at `path`, as it is and after each change; or ClusterError."""
        query = f"watch=true&fieldSelector=metadata.name={name}&timeoutSeconds={seconds}"
        with _answering(path):
            for line in self._ask("GET", f"{path}?{query}"):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ClusterError(f"GET {path}: {event['object'].get('message')}")
                yield event["object"]

    def _ask(self, method: str, path: str, sent: Mapping[str, Any] | None = None) -> HTTPResponse:
        connection = _Connection(self._path)
        headers = {"content-type": "application/merge-patch+json"} if sent else {}
        with _answering(path):
            connection.request(method, path, json.dumps(sent) if sent else None, headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ClusterError(f"{method} {path}: {_message(answer)}")
        return answer


def _message(answer: HTTPResponse) -> str:
    said = answer.read().decode(errors="replace")
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError):  # of the proxy, not of the API server
        return said.strip() or answer.reason


@contextmanager
def _answering(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException) as error:
        raise ClusterError(f"the API server does not answer: {path}: {error}") from error


class _Connection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))
