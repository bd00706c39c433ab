"""A server of files in place of the hosts that the programs are fetched from, and a machine that has no program."""

import functools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from workbench.errors import StepFailed
from workbench.programs import bring, chromium, prometheus


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server of the folder's files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture
def host(files: Path) -> Iterator[str]:
    with serving(files) as address:
        yield address


@pytest.fixture
def unequipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH. It is empty, and no earlier run has brought a program."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    programs = ("CHROMIUM", "PROMETHEUS", "PROMTOOL", "ALERTMANAGER", "AMTOOL")
    for name in (*programs, "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("PROMETHEUS_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setattr(prometheus, "BROUGHT", tmp_path / "prometheus")
    monkeypatch.setattr(bring, "LOCKED", tmp_path / "locked")  # a real run beside this one may hold the real lock
    return path


@pytest.fixture
def bare(unequipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, for tests that do not run Playwright, whose program does not start on a machine without libatomic."""
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", str(program(tmp_path / "node")))
    return unequipped


@pytest.fixture
def playwright(unequipped: Path) -> Path:
    """The same, for tests that run Playwright. WITHOUT=chromium leaves them out."""
    try:
        chromium.check()
    except StepFailed as error:
        pytest.fail(
            f"{error}: make test brings what it lacks, make test WITHOUT=chromium leaves this out", pytrace=False
        )
    return unequipped


def program(path: Path, text: str = "echo Chromium 1.0") -> Path:
    """Makes a program of sh."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def brought_shell(text: str = "echo Chromium 1.0") -> Path:
    """Makes the headless shell that Playwright would have fetched."""
    folder = chromium.shell_folder()
    shell = program(folder / "chrome-headless-shell-linux64" / "chrome-headless-shell", text)
    (folder / "INSTALLATION_COMPLETE").touch()
    return shell


@pytest.fixture
def cut() -> Iterator[str]:
    """The address of a server that closes each connection after 5 bytes of 9999."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # the listener was shut down
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(9999)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n12345")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
