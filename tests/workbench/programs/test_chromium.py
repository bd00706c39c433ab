"""Where Chromium is looked for. One that does not start does not count."""

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tests.workbench.programs.conftest import brought_shell, program
from workbench.errors import StepFailed, UsageError
from workbench.programs import chromium


def test_the_path_comes_before_what_was_brought(bare: Path) -> None:
    assert chromium.find() is None
    shell = brought_shell()
    assert chromium.find() == str(shell)
    installed = program(bare / "google-chrome")
    assert chromium.find() == str(installed)


def test_an_unfinished_download_does_not_count(bare: Path) -> None:
    shell = brought_shell()
    (shell.parents[1] / "INSTALLATION_COMPLETE").unlink()
    assert chromium.find() is None


def test_one_that_only_prints_an_advice_does_not_count(bare: Path) -> None:
    program(bare / "chromium-browser", "echo install the snap; exit 1")
    assert chromium.find() is None


def test_a_variable_names_it(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "chromium")
    mine = program(tmp_path / "mine")
    monkeypatch.setenv("CHROMIUM", str(mine))
    assert chromium.find() == str(mine)
    program(mine, "echo a library is missing >&2; exit 127")
    with pytest.raises(UsageError, match=rf"^CHROMIUM={mine} does not start: a library is missing$"):
        chromium.find()
    program(mine, "echo Mozilla Firefox 152")
    with pytest.raises(UsageError, match=rf"^CHROMIUM={mine} is no Chromium, as its --version says: "):
        chromium.find()
    monkeypatch.setenv("CHROMIUM", "/nowhere")
    with pytest.raises(UsageError, match=r"^CHROMIUM=/nowhere is not a program: "):
        chromium.find()


def test_an_interrupted_download_leaves_nothing(playwright: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = chromium.shell_folder()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with suppress(KeyboardInterrupt), chromium.fetching():
            listener.settimeout(chromium.START_WITHIN)  # it never comes if Playwright does not start
            connection, _ = listener.accept()
            connection.close()
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "half").touch()
            raise KeyboardInterrupt
    assert not folder.exists()


def test_it_needs_playwrights_own_program(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "chromium")
    monkeypatch.setenv(
        "PLAYWRIGHT_NODEJS_PATH", str(program(tmp_path / "node", "echo no libatomic.so.1 >&2; exit 127"))
    )
    assert chromium.find() is None
    with pytest.raises(StepFailed, match=r"/node does not start: no libatomic\.so\.1$"):
        chromium.addresses()
    assert chromium.packages() == ["libatomic1"]
    (bare / "chromium").unlink()
    assert chromium.packages() == ["libatomic1", chromium.PACKAGE]
