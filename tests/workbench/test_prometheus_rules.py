"""The rules of a running Prometheus follow their files, unless these are wrong."""

import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from harness.tls import NO_TLS
from tests.waiting import WITHIN
from tests.workbench.reload.live import Output
from workbench.console import Console
from workbench.errors import StepFailed
from workbench.machine import ports
from workbench.machine.folders import display_path
from workbench.options import StackOptions
from workbench.parts.envoy import Envoy
from workbench.parts.prometheus import Prometheus
from workbench.programs.prometheus import Programs

WRONG = "groups:\n  - name: wrong\n    rules:\n      - {alert: Wrong, expr: up ==}\n"


class Rules:
    """A Prometheus without targets, and the folder of its rules."""

    def __init__(self, prometheus: Prometheus, folder: Path, output: Output) -> None:
        self.prometheus = prometheus
        self.folder = folder
        self.output = output

    async def names(self) -> set[str]:
        """Those of the files whose rules it works with."""
        async with httpx.AsyncClient(base_url=self.prometheus.url, verify=NO_TLS) as client:
            groups = (await client.get("/api/v1/rules")).json()["data"]["groups"]
        return {group["name"] for group in groups}

    async def metric(self, name: str) -> str:
        async with httpx.AsyncClient(base_url=self.prometheus.url, verify=NO_TLS) as client:
            return (await client.get("/metrics")).text.partition(f"\n{name} ")[2].partition("\n")[0]

    def are_wrong(self, file: str, words: str) -> bool:
        """Whether these words name the file, the line and the rule."""
        place = re.escape(display_path(self.folder / file))
        return re.match(rf'{place}: 4:\d+: group "wrong", rule 1, "Wrong": ', words) is not None

    def save(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


def group(name: str) -> str:
    return f"groups:\n  - name: {name}\n    rules:\n      - {{alert: Down, expr: up == 0}}\n"


@pytest.fixture
async def rules(prometheus_programs: Programs, tmp_path: Path) -> AsyncIterator[Rules]:
    output = Output()
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yaml").write_text(group("a"))
    options = StackOptions(tmp_path, alerts=folder, prometheus=prometheus_programs.prometheus)
    async with AsyncExitStack() as stack:
        run = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prometheus-")))
        envoy = Envoy(1, [], folder, run, Console(output), stats_port=1)
        [port] = ports.free(1)
        prometheus = Prometheus(options, port, [], envoy, run, Console(output))
        stack.push_async_callback(prometheus.stop)
        yield Rules(prometheus, folder, output)


async def test_rules_follow_their_files(rules: Rules) -> None:
    await rules.prometheus.start()
    assert await rules.names() == {"a"}
    assert not await rules.prometheus.reload()

    rules.save("a.yaml", group("changed"))
    rules.save("b.yaml", group("b"))
    assert await rules.prometheus.reload()
    assert await rules.names() == {"changed", "b"}

    rules.save("b.yaml", WRONG)
    for _ in range(2):
        with pytest.raises(StepFailed) as caught:
            await rules.prometheus.reload()
        assert rules.are_wrong("b.yaml", str(caught.value))
        assert await rules.names() == {"changed", "b"}
        assert await rules.metric("prometheus_config_last_reload_successful") == "1"  # or an alert would stay

    # Also when it starts again.
    assert rules.prometheus.part
    os.kill(rules.prometheus.part.pid, signal.SIGKILL)
    await rules.prometheus.part.wait(WITHIN)
    await rules.prometheus.start()
    assert await rules.names() == {"changed", "b"}

    (rules.folder / "b.yaml").unlink()
    assert await rules.prometheus.reload()
    assert await rules.names() == {"changed"}
    assert rules.output.lines == []


async def test_wrong_rules_stop_the_first_start(rules: Rules) -> None:
    rules.save("a.yaml", WRONG)
    with pytest.raises(StepFailed) as caught:
        await rules.prometheus.start()
    prefix, _, reason = str(caught.value).partition("the rules of Prometheus are wrong: ")
    assert prefix == ""
    assert rules.are_wrong("a.yaml", reason)
