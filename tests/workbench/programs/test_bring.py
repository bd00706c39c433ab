"""What is missing is fetched once. If that is not possible, one line says what to do, and nothing is fetched."""

import io
import os
import re
import subprocess
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.workbench.programs.conftest import brought_shell, program
from tests.workbench.programs.test_prometheus import publish
from workbench.console import Console
from workbench.programs import alertmanager, chromium, debian, prometheus
from workbench.programs.bring import Missing, absent, bring, exclusive


def output_of(*names: str) -> str:
    output = io.StringIO()
    bring(names, Console(output))
    return output.getvalue()


class Heard(io.StringIO):
    """Output that tells when a text has come."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.heard = threading.Event()

    def write(self, text: str) -> int:
        if self._text in text:
            self.heard.set()
        return super().write(text)


def publish_shell(files: Path) -> None:
    """Puts what Playwright fetches on the server: a headless shell that is a program of sh, and ffmpeg."""
    command = (*chromium.PLAYWRIGHT, "install", "--only-shell", "chromium", "--dry-run")
    for address in re.findall(r"Download url: +(\S+)", subprocess.check_output(command, text=True)):
        path = files / urlsplit(address).path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            name = f"{path.stem}/chrome-headless-shell" if "shell" in path.stem else path.stem
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o755 << 16
            archive.writestr(member, "#!/bin/sh\necho 1.0\n")


def test_prometheus_is_fetched_once(bare: Path, files: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(files, monkeypatch)
    monkeypatch.setenv("PROMETHEUS_MIRROR", host)

    first = output_of("prometheus").splitlines()

    assert first[0] == f"using Prometheus {prometheus.VERSION} (fetching 0 MB)"
    monkeypatch.setenv("PROMETHEUS_MIRROR", "http://127.0.0.1:9")
    found = prometheus.find()
    assert found
    assert output_of("prometheus") == f"using Prometheus ({found.prometheus})\n"
    assert prometheus.server() == found.prometheus
    assert os.access(found.promtool, os.X_OK)


def test_what_is_there_is_used(bare: Path) -> None:
    browser = program(bare / "chromium-browser")
    server, _ = program(bare / "prometheus"), program(bare / "promtool")
    assert output_of("chromium", "prometheus") == f"using Chromium ({browser}) and Prometheus ({server})\n"


def test_an_optional_program_is_installed_or_left_out(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = program(bare / "prometheus"), program(bare / "promtool")
    left_out = "without Alertmanager, whose tests are left out"
    assert output_of("prometheus", "alertmanager") == (
        f"using Prometheus ({server}), {left_out} (Debian: apt install prometheus-alertmanager)\n"
    )
    monkeypatch.setattr(debian, "is_possible", lambda: True)
    monkeypatch.setattr(debian, "_POLICY", tmp_path / "policy-rc.d")
    program(bare / "apt-get", "echo 'E: it is locked' >&2; exit 100")
    first, *_, last = output_of("prometheus", "alertmanager").splitlines()
    assert first == f"using Prometheus ({server}) and Alertmanager (installing Debian's packages)"
    assert last.startswith(f"{left_out}: apt-get update: ")
    program(bare / "prometheus-alertmanager.deb")
    install = f"/bin/cp {bare}/prometheus-alertmanager.deb {bare}/prometheus-alertmanager"
    program(bare / "apt-get", f"echo Hit:1; {install}; /bin/cp {bare}/prometheus-alertmanager.deb {bare}/amtool")
    output_of("prometheus", "alertmanager")
    assert alertmanager.find() == (str(bare / "prometheus-alertmanager"), str(bare / "amtool"))
    assert absent() == set()


def test_a_second_run_waits_for_the_first_one(bare: Path) -> None:
    output = Heard("waiting for another run")
    program(bare / "prometheus")
    with ThreadPoolExecutor() as threads:
        with exclusive(Console(io.StringIO())):
            second = threads.submit(bring, ["prometheus"], Console(output))
            assert output.heard.wait(60)
            program(bare / "promtool")
        second.result(60)
    assert output.getvalue().splitlines()[-1] == f"using Prometheus ({bare / 'prometheus'})"


def test_without_a_network_one_line_says_what_to_do(bare: Path) -> None:
    with pytest.raises(Missing) as missing:
        output_of("prometheus")
    assert missing.value.names == ["prometheus"]
    assert str(missing.value) == (
        "missing: Prometheus, which cannot be fetched (127.0.0.1:9: Connection refused): install the packages "
        "(Debian: apt install --no-install-recommends prometheus), or name it with PROMETHEUS=/path PROMTOOL=/path"
    )


def test_nothing_is_fetched_if_another_program_cannot_be(
    bare: Path, files: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(files, monkeypatch)
    monkeypatch.setenv("PROMETHEUS_MIRROR", host)
    monkeypatch.setattr(chromium, "addresses", lambda: ["http://127.0.0.1:9/shell.zip"])

    with pytest.raises(Missing) as missing:
        output_of("chromium", "prometheus")

    assert prometheus.find() is None
    assert missing.value.names == ["chromium"]


def test_chromium_is_fetched_once(playwright: Path, files: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_shell(files)
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", host)

    first = output_of("chromium").splitlines()

    assert first[0] == "using Playwright's Chromium (fetching 0 MB)"
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:9")
    assert output_of("chromium") == f"using Chromium ({chromium.brought()})\n"


def test_a_chromium_that_lacks_a_library_is_not_used(bare: Path) -> None:
    shell = brought_shell("echo libnss3.so is missing >&2; exit 127")

    with pytest.raises(Missing) as missing:
        output_of("chromium")

    expected = f"({shell} does not start: libnss3.so is missing): install the libraries of Chromium (sudo "
    assert expected in str(missing.value)
