"""Of a person's settings of pip, only those of the network reach the installation into .venv."""

import os
import sys
from pathlib import Path

import pytest

from workbench.errors import StepFailed
from workbench.machine import pip

# What /etc/pip.conf of this machine says, which has no other place.
MACHINE = pip.environment({"HOME": "/nonexistent", "XDG_CONFIG_DIRS": "/nonexistent"}, Path("/nonexistent"))


def options(tmp_path: Path, **variables: str) -> dict[str, str]:
    """The variables that pip gets, with a home in `tmp_path` and no file of the machine, but where it is."""
    here = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "system"), "PATH": "/bin"}
    given = pip.environment(here | variables, tmp_path / "venv")
    assert given.pop("PIP_CONFIG_FILE") == os.devnull
    return {name: value for name, value in given.items() if name not in here and value != MACHINE.get(name)}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_variables(tmp_path: Path) -> None:
    network = {"PIP_INDEX_URL": "https://mirror/simple", "PIP_CERT": "/ca.pem", "PIP_DEFAULT_TIMEOUT": "90"}
    others = {
        "PIP_TARGET": "/elsewhere",
        "PIP_USER": "1",
        "PIP_DRY_RUN": "1",
        "PIP_NO_DEPS": "1",
        "PIP_CONSTRAINT": "/constraints.txt",
        "PIP_ANYTHING_NEW": "1",
    }
    assert options(tmp_path, **network, **others) == network


def test_files(tmp_path: Path) -> None:
    write(tmp_path / ".pip/pip.conf", "[global]\nproxy = http://old\nretries = 1\ntimeout = 7\n")
    write(tmp_path / ".config/pip/pip.conf", "[global]\nretries = 2\ntarget = /there\n[install]\nno_index = true\n")
    write(tmp_path / "venv/pip.conf", "[global]\nretries = 3\nno-index = false\n[download]\ncert = /ca.pem\n")
    expected = {"PIP_PROXY": "http://old", "PIP_RETRIES": "3", "PIP_TIMEOUT": "7", "PIP_NO_INDEX": "true"}
    assert options(tmp_path) == expected
    assert options(tmp_path, PIP_RETRIES="4", PIP_TIMEOUT="") == expected | {"PIP_RETRIES": "4"}


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one folder for all users")
def test_files_for_all_users(tmp_path: Path) -> None:
    write(tmp_path / "system/pip/pip.conf", "[global]\nproxy = http://system\nuser = yes\n")
    assert options(tmp_path) == {"PIP_PROXY": "http://system"}


def test_a_named_file_takes_the_place_of_the_users(tmp_path: Path) -> None:
    write(tmp_path / ".pip/pip.conf", "[global]\nproxy = http://user\n")
    named = write(tmp_path / "named.conf", "[global]\nuser = yes\nextra-index-url =\n  https://a\n  https://b\n")
    assert options(tmp_path, PIP_CONFIG_FILE=str(named)) == {"PIP_EXTRA_INDEX_URL": "\nhttps://a\nhttps://b"}
    assert options(tmp_path, PIP_CONFIG_FILE=os.devnull) == {}


def test_an_invalid_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    named = write(tmp_path / "named.conf", "proxy = http://here\n")
    with pytest.raises(
        StepFailed, match=rf"{named} is not a configuration of pip \(File contains no section headers"
    ):
        options(tmp_path, PIP_CONFIG_FILE=str(named))
