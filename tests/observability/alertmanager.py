"""The configuration of Alertmanager, as its pod puts it together, and a running Alertmanager with it."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.observability.promtool import ROOT
from workbench.console import Console
from workbench.machine import ports
from workbench.parts.probe import until_ok
from workbench.parts.process import Part
from workbench.programs.alertmanager import Programs

COMPONENT = ROOT / "k8s" / "components" / "alerting"
SECRETS = "/etc/alertmanager/secrets"
WITHIN = 60.0

_URL_FILE = (0, 26)  # the first version that knows this field
_DURATIONS = {"group_wait": "1ms", "group_interval": "200ms", "repeat_interval": "100ms"}

Configuration = dict[str, Any]


def configuration(receivers: str | None = None) -> Configuration:
    """The routes of the component, with its receivers or other ones, in one file."""
    text = (COMPONENT / "routes.yml").read_text()
    text += (COMPONENT / "receivers.yml").read_text() if receivers is None else receivers
    loaded: Configuration = yaml.safe_load(text)
    return loaded


def documented_receivers() -> str:
    """Those that docs/alerting.md tells a person to write."""
    page = (ROOT / "docs" / "alerting.md").read_text()
    [patch] = re.findall(r"<!-- receivers -->\n```yaml\n(.*?)```", page, re.DOTALL)
    receivers: str = yaml.safe_load(patch)["data"]["receivers.yml"]
    return receivers


def for_version(programs: Programs, config: Configuration) -> Configuration:
    """The configuration without a field that Debian 12's version does not know: the address itself, not its file."""
    output = subprocess.run([programs.amtool, "--version"], capture_output=True, text=True, check=True)
    [version] = re.findall(r"version (\d+)\.(\d+)", output.stdout + output.stderr)
    config = deepcopy(config)
    if tuple(map(int, version)) < _URL_FILE:
        for webhook in (each for receiver in config["receivers"] for each in receiver.get("webhook_configs", [])):
            file = Path(webhook.pop("url_file"))
            webhook["url"] = file.read_text() if file.exists() else "http://localhost:9"
    return config


def checked(programs: Programs, config: Configuration, folder: Path) -> Path:
    """The file with a configuration. The test fails if amtool finds an error."""
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(for_version(programs, config)))
    done = subprocess.run([programs.amtool, "check-config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return file


def receivers_of(programs: Programs, file: Path, labels: Mapping[str, str]) -> set[str]:
    """Whom the routes tell about an alert with these labels."""
    command = [programs.amtool, "config", "routes", "test", f"--config.file={file}"]
    command += [f"{name}={value}" for name, value in labels.items()]
    return {*subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(",")}


@asynccontextmanager
async def running(
    programs: Programs, config: Configuration, addresses: Mapping[str, str], folder: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """An Alertmanager whose secrets are these addresses, with much shorter times. Yields a client of its API."""
    config = deepcopy(config)
    for route in (config["route"], *config["route"]["routes"]):
        route |= _DURATIONS
    for webhook in (each for receiver in config["receivers"] for each in receiver["webhook_configs"]):
        secret = folder / Path(webhook["url_file"]).name
        secret.write_text(addresses[secret.name])
        webhook["url_file"] = str(secret)
    [port] = ports.free(1)
    part = await Part.start(
        "alertmanager",
        programs.alertmanager,
        f"--config.file={checked(programs, config, folder)}",
        f"--storage.path={folder / 'data'}",
        "--cluster.listen-address=",
        f"--web.listen-address=127.0.0.1:{port}",
        console=Console(sys.stderr),
    )
    try:
        await part.becomes_ready(until_ok(port, "/-/ready", WITHIN))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v2") as client:
            yield client
    finally:
        await part.kill()
