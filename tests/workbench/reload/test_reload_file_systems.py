"""What file systems hold beside code: none of it ends live reload, hides a file, or takes the service down."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from tests.probe.project import MODULE
from tests.workbench.reload.live import Live, header
from tests.workbench.things import ANY
from workbench.errors import UsageError
from workbench.machine import unprivileged
from workbench.machine.env_file import read_env_file
from workbench.reload import code
from workbench.reload.sources import why_unusable

NOT_UTF_8 = os.fsdecode(b"\xff\xfe.txt") if sys.platform == "linux" else "macOS has no such names.txt"
TOO_DEEP = "x = " + "-" * 200_000 + "1\n"
"""An expression for which Python's compiler raises MemoryError."""


def fill(folder: Path) -> None:
    """Makes one of each kind in a folder."""
    (folder / "itself").symlink_to("itself")
    (folder / "here").symlink_to(".")
    (folder / "above").symlink_to("..")
    (folder / "gone").symlink_to("nowhere")
    os.mkfifo(folder / "fifo.py")
    with chdir(folder), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.py")


def empty(folder: Path) -> None:
    for name in ("itself", "here", "above", "gone", "fifo.py", "socket.py"):
        (folder / name).unlink()


def test_only_files_are_code(tmp_path: Path) -> None:
    package = tmp_path / "project" / "service"
    (package / "folder").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    names = ("service/a.py", "service/folder/b.py", f"service/{NOT_UTF_8}", "service/z.py", "../elsewhere/c.py")
    for name in names:
        (tmp_path / "project" / name).write_text("text")
    (package / "linked").symlink_to(tmp_path / "elsewhere")
    for folder in (package, package / "folder"):
        fill(folder)
    files = code.read(tmp_path / "project")
    assert {str(path.relative_to(package)) for path in files} == {
        *("a.py", "folder/b.py", NOT_UTF_8, "z.py", "linked/c.py")
    }
    before = code.version(files, tmp_path / "project")
    (package / NOT_UTF_8).rename(package / "named.txt")
    assert code.version(code.read(tmp_path / "project"), tmp_path / "project") != before


async def test_saves_beside_them(live: Live) -> None:
    service = live.sources.root / "service"
    fill(service)
    try:
        for name in ("itself", "fifo.py", "socket.py"):
            await live.says(f"reload: service/{name} is left out of the code: it ")
        live.sources.edit(*header("x-mark", "'one'"))
        await live.reloads()
        assert (await live.get(ANY)).headers["x-mark"] == "one"
    finally:
        empty(service)
    assert not live.said("Traceback")


async def test_a_name_that_is_not_utf_8(live: Live) -> None:
    path = live.sources.root / "service" / NOT_UTF_8
    for text in ("one", "two"):
        path.write_text(text)
        await live.reloads()
    path.unlink()
    await live.reloads()
    assert not live.said("cannot be watched")


async def test_code_that_is_too_deep_for_the_compiler(live: Live) -> None:
    """The template compiles it too, and must survive that, or what serves would end with it."""
    live.sources.write("service/deep.py", TOO_DEEP)
    await live.reloads()
    live.forget()
    live.sources.append(MODULE, "\nimport service.deep\n")
    await live.says("the new code does not serve: .*(MemoryError|RecursionError|SyntaxError)")
    assert (await live.get(ANY)).status_code == 200
    assert not live.said("the service crashed")


async def test_a_line_of_several_mebibytes_on_stderr(live: Live) -> None:
    live.sources.append(MODULE, "\nimport sys\nsys.stderr.write('Q' * 3_000_000 + '\\nthe next line\\n')\n")
    await live.says("the next line$")
    await live.reloads()
    assert sum(line.count("Q") for line in live.said("QQQ")) == 3_000_000


async def test_the_folder_of_the_service_is_replaced(live: Live) -> None:
    service, other = live.sources.root / "service", live.sources.root / "other"
    service.rename(other)
    await live.says("the new code does not serve: ")
    live.forget()
    other.rename(service)
    await live.says("the files match the serving version")
    live.sources.append(MODULE, "\n# in the folder that is there now\n")
    await live.reloads()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("SERVICE_NAME=caf\u00e9\n".encode("utf-16"), "line 1: byte 0xff is not UTF-8: save the file as UTF-8"),
        ("#\nSERVICE_NAME=caf\u00e9\n".encode("latin-1"), "line 2: byte 0xe9 is not UTF-8: save the file as UTF-8"),
        (b"SERVICE_NAME=a\0b\n", r"line 1: expected SERVICE_NAME=value, found 'SERVICE_NAME=a\\x00b'"),
    ],
)
async def test_settings_that_are_not_utf_8(live: Live, content: bytes, why: str) -> None:
    (live.sources.root / ".env").write_bytes(content)
    await live.says(rf"the new code does not serve: \.env, {why}; version {live.sources.version} keeps serving")
    live.sources.restore()
    await live.says("the files match the serving version")
    assert not live.said("Traceback")


def test_settings_that_are_no_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfSERVICE_NAME=with a byte order mark\n")
    assert read_env_file(path) == {"SERVICE_NAME": "with a byte order mark"}
    path.unlink()
    path.symlink_to("nowhere")
    assert read_env_file(path) == {}
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(
        UsageError, match=r"^\.env cannot be read \(Too many levels of symbolic links\): make it readable"
    ):
        read_env_file(path)
    path.unlink()
    for make in (os.mkdir, os.mkfifo):
        make(path)
        with pytest.raises(
            UsageError, match=r"^\.env is not a file: move it away, or make it a file of SERVICE_NAME="
        ):
            read_env_file(path)
        path.rmdir() if path.is_dir() else path.unlink()


@contextmanager
def another_user() -> Iterator[None]:
    """Root can read everything, so the block runs as a user who cannot."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(unprivileged.owner())
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_what_this_user_may_not_read() -> None:
    with tempfile.TemporaryDirectory() as temporary:  # other users may not enter tmp_path
        root = Path(temporary)
        root.chmod(0o755)
        (root / "service" / "closed").mkdir(parents=True)
        (root / "service" / "closed" / "hidden.py").touch()
        for name in ("service/a.py", "service/secret.py", "service/z.py", ".env"):
            (root / name).touch()
        (root / "service" / "link.py").symlink_to("closed/hidden.py")
        closed = [root / "service" / "closed", root / "service" / "secret.py", root / ".env"]
        for path in closed:
            path.chmod(0)
        with another_user():
            assert {path.name for path in code.read(root)} == {"a.py", "z.py"}
            for path in (*closed, root / "service" / "link.py"):
                assert why_unusable(path) == "it cannot be read (Permission denied): correct that, or remove it"
            assert why_unusable(root / "service" / "a.py") is None
            with pytest.raises(
                UsageError, match=r"^\.env cannot be read \(Permission denied\): make it readable for "
            ):
                read_env_file(root / ".env")
        closed[0].chmod(0o700)
