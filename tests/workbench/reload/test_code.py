"""Only files that may have changed are read, and none that has changed is missed."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.reload import code


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "service" / "module.py"
    path.parent.mkdir()
    path.write_bytes(b"0")
    return path


def test_two_saves_in_one_moment_are_two(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = os.stat

    def coarse(path: str) -> SimpleNamespace:
        """As on a file system whose times have steps of two seconds."""
        status = stat(path)
        time = int(status.st_ctime) // 2 * 2
        same = {name: getattr(status, name) for name in ("st_dev", "st_ino", "st_size")}
        return SimpleNamespace(**same, st_ctime=float(time), st_ctime_ns=time * 10**9, st_mtime_ns=time * 10**9)

    read = list[dict[Path, bytes]]()
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", coarse)
        for content in (b"1", b"2"):
            module.write_bytes(content)
            read.append(code.read(module.parents[1]))

    assert read == [{module: b"1"}, {module: b"2"}]


@pytest.mark.parametrize("edit", ["in place", "another file"])
def test_a_save_that_keeps_time_and_size_is_read(module: Path, monkeypatch: pytest.MonkeyPatch, edit: str) -> None:
    monkeypatch.setattr(code, "_COARSE", -60.0)  # a file is known as soon as it was read
    code.read(module.parents[1])
    before = module.stat()

    while module.stat().st_ctime_ns == before.st_ctime_ns:  # until the clock of the file system goes on
        new = module if edit == "in place" else module.with_suffix(".new")
        new.write_bytes(b"1")
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
        new.replace(module)

    assert code.read(module.parents[1]) == {module: b"1"}


def test_a_file_that_is_the_same_for_a_while_is_not_read_again(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "_COARSE", -60.0)
    files = code.read(module.parents[1])

    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("it was read"))

    assert code.read(module.parents[1]) == files


def test_the_version_is_that_of_names_and_contents(module: Path) -> None:
    root = module.parents[1]
    one = code.version(code.read(root), root)

    (module.parent / "b.py").write_bytes(b"")
    two = code.version(code.read(root), root)
    module.rename(module.with_name("c.py"))
    three = code.version(code.read(root), root)

    assert len({one, two, three}) == 3
    assert code.version({Path("/elsewhere/service/module.py"): b"0"}, Path("/elsewhere")) == one
