"""Where the temporary files of the tests are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import memory

ROOT = Path(__file__).parents[2]
SAYS_WHERE = "import tempfile\ndef test_x(tmp_path): raise Exception('in', tempfile.gettempdir(), tmp_path)\n"


def temporary_folders(tmp_path: Path, memory_of: Path, **variables: str) -> list[Path]:
    """Where a run keeps its temporary files: those of Python, and those of pytest."""
    (tmp_path / "test_x.py").write_text(SAYS_WHERE)
    (tmp_path / "conftest.py").write_text(
        "from pathlib import Path\nfrom tests.running import memory\n"
        f"memory.MEMORY, memory.NEEDED = Path({str(memory_of)!r}), 0\n"
        "pytest_plugins = ['tests.running.memory']\n"
    )
    options = ("-p", "no:cacheprovider", f"--rootdir={tmp_path}", tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"} | variables
    done = subprocess.run(
        (sys.executable, "-m", "pytest", *options),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("E") and "Exception: (" in line]
    return [Path(part.strip(" ')")) for part in line.replace("PosixPath('", "").split(", ")[1:]]


needs_linux = pytest.mark.skipif(not memory.MEMINFO.exists(), reason="only Linux has /dev/shm")


@needs_linux
def test_they_are_in_memory_and_gone_afterwards(tmp_path: Path) -> None:
    (large := tmp_path / "memory").mkdir()

    folders = temporary_folders(tmp_path, large)

    assert [folder.is_relative_to(large) for folder in folders] == [True, True]
    assert os.listdir(large) == []


@needs_linux
def test_tmpdir_says_where_they_are(tmp_path: Path) -> None:
    (large := tmp_path / "memory").mkdir()
    (chosen := tmp_path / "chosen").mkdir()

    folders = temporary_folders(tmp_path, large, TMPDIR=str(chosen))

    assert [folder.is_relative_to(chosen) for folder in folders] == [True, True]


@needs_linux
@pytest.mark.parametrize(("needed", "available", "enough"), [(1, 1, True), (2, 1, False), (2**60, 2**60, False)])
def test_memory_has_to_be_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: int, available: int, enough: bool
) -> None:
    """Both what is available, and what fits into the folder. The numbers are KiB."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "NEEDED", needed * 1024)
    memory.MEMINFO.write_text(f"MemTotal: 9 kB\nMemAvailable: {available} kB\n")

    assert memory.large_enough(tmp_path) is enough


@needs_linux
def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (abandoned := tmp_path / f"{memory.PREFIX}abc").mkdir()
    (other := tmp_path / "other").mkdir()
    in_use, lock = memory.make_folder(tmp_path)

    memory.remove_abandoned(tmp_path)

    os.close(lock)
    assert [folder.exists() for folder in (abandoned, other, in_use)] == [False, True, True]
    memory.remove_abandoned(tmp_path)
    assert not in_use.exists()
