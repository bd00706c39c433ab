"""What is installed from an archive is whole and is what its digest says, or it is not there."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.workbench.programs.archives import write_archive
from workbench.errors import StepFailed
from workbench.programs.archive import install

SCRIPT = "#!/bin/sh\necho installed\n"
MEMBERS = {"tool-2/tool": SCRIPT, "tool-2/LICENSE": "text", "../outside": "text", "/outside": "text"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where it is installed, beside an older version."""
    (tmp_path / "tools" / "1").mkdir(parents=True)
    return tmp_path / "tools" / "2"


def test_only_the_named_members_are_installed(files: Path, host: str, folder: Path) -> None:
    digest = write_archive(files / "tool.tar.gz", MEMBERS)

    install(f"{host}/tool.tar.gz", digest, ["tool-2/tool"], folder)

    assert [path.relative_to(folder.parent).as_posix() for path in folder.parent.rglob("*")] == ["2", "2/tool"]
    assert subprocess.check_output([folder / "tool"], text=True) == "installed\n"
    assert sorted(os.listdir(folder.parents[1])) == ["files", "tools"]


def refused(address: str, digest: str, member: str, folder: Path) -> str:
    with pytest.raises(StepFailed) as failed:
        install(address, digest, [member], folder)
    assert os.listdir(folder.parent) == ["1"]
    return str(failed.value)


def test_another_digest_is_refused_with_both(files: Path, host: str, folder: Path) -> None:
    digest = write_archive(files / "tool.tar.gz", MEMBERS)

    message = refused(f"{host}/tool.tar.gz", "0" * 64, "tool-2/tool", folder)

    assert message == f"{host}/tool.tar.gz has the SHA-256 {digest}, and {'0' * 64} is expected"


def test_an_archive_without_the_member_is_refused(files: Path, host: str, folder: Path) -> None:
    digest = write_archive(files / "tool.tar.gz", MEMBERS)

    assert "has no file tool-2/other" in refused(f"{host}/tool.tar.gz", digest, "tool-2/other", folder)


def test_what_is_no_archive_is_refused(files: Path, host: str, folder: Path) -> None:
    digest = write_archive(files / "tool.tar.gz", MEMBERS)
    whole = (files / "tool.tar.gz").read_bytes()
    (files / "tool.tar.gz").write_bytes(whole[: len(whole) // 2])

    assert "has the SHA-256" in refused(f"{host}/tool.tar.gz", digest, "tool-2/tool", folder)


def test_a_connection_that_ends_early_is_an_error(folder: Path, cut: str) -> None:
    assert refused(f"{cut}/tool.tar.gz", "0" * 64, "tool-2/tool", folder) == (
        f"{cut}/tool.tar.gz: the connection to {cut.removeprefix('http://')} ended after 5 of 9999 bytes"
    )


def test_an_address_that_does_not_exist_is_an_error(host: str, folder: Path) -> None:
    assert refused(f"{host}/none.tar.gz", "0" * 64, "tool", folder) == f"{host}/none.tar.gz: HTTP 404"


def test_an_interrupted_run_leaves_nothing(
    folder: Path, files: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = write_archive(files / "tool.tar.gz", MEMBERS)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.programs.archive._take", interrupt)
    with pytest.raises(KeyboardInterrupt):
        install(f"{host}/tool.tar.gz", digest, ["tool-2/tool"], folder)
    assert os.listdir(folder.parent) == ["1"]


def test_what_a_killed_run_left_is_no_obstacle(folder: Path, files: Path, host: str) -> None:
    digest = write_archive(files / "tool.tar.gz", MEMBERS)
    (folder.parent / "unfinished").mkdir()
    (folder.parent / "unfinished" / "archive.tar.gz").write_text("half")

    install(f"{host}/tool.tar.gz", digest, ["tool-2/tool"], folder)

    assert os.listdir(folder.parent) == ["2"]
