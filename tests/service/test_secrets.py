"""Secrets are in no log, no error, no metric, no image and no commit."""

import re
import signal
import subprocess
from collections.abc import Sequence

import pytest

from service.app import DOMAINS
from service.domain import Domain
from tests.git import needs_git
from tests.service.commands import ROOT
from tests.service.databases import Database
from tests.service.processes import service_process
from tests.service.routes import declared
from tests.service.serving import PROBE
from tests.waiting import eventually

SECRET = "s3cr3t-Tide"  # noqa: S105 - made up


@pytest.mark.parametrize(
    ("module", "domains", "where", "reachable"),
    [  # every pair of two values
        pytest.param("tests.probe", PROBE, "password", True, id="probe, password, database"),
        pytest.param("tests.probe", PROBE, "url", False, id="probe, url, no database"),
        pytest.param("service", DOMAINS, "password", False, id="all, password, no database"),
        pytest.param("service", DOMAINS, "url", True, id="all, url, database"),
    ],
)
async def test_no_answer_and_no_log_contains_the_password_of_the_database(
    database: Database, module: str, domains: Sequence[Domain], where: str, reachable: bool
) -> None:
    url = database.url("app_rw") if reachable else "postgresql://app_rw@127.0.0.1:1/app"
    if where == "url":
        url = url.replace("app_rw@", f"app_rw:{SECRET}@")
    variables = {"SERVICE_DATABASE_URL": url, "SERVICE_LOG_LEVEL": "debug", "SERVICE_LOG_FORMAT": "json"}
    if where == "password":
        variables["SERVICE_DATABASE_PASSWORD"] = SECRET
    seen = []
    async with service_process(database, module=module, share=False, **variables) as process:

        async def checked() -> bool:
            ready = await process.ops.get("/readyz")
            seen.append(ready.text)
            return "database" in ready.json()["checks"]

        await eventually(checked, "the database was checked")
        for route in declared(domains):
            content, headers = (b"", {}) if route.method == "GET" else (b"{", {"content-type": "application/json"})
            headers["accept"] = "text/html"
            async with process.api.stream(route.method, route.path(), content=content, headers=headers) as answer:
                seen.append(f"{answer.headers}")
                if "event-stream" not in answer.headers.get("content-type", ""):  # an event stream does not end
                    seen.append((await answer.aread()).decode())
        seen.append((await process.api.get("/nothing")).text)
        seen.append((await process.ops.get("/metrics")).text)
        process.send(signal.SIGTERM)
        process.send(signal.SIGTERM)
        seen += await process.lines()

    assert not [text for text in seen if SECRET in text]


async def test_the_error_of_a_wrong_setting_contains_no_password(database: Database) -> None:
    async with service_process(database, SERVICE_DATABASE_PASSWORD=SECRET, SERVICE_POOL_SIZE="none") as process:
        lines = await process.lines()

    assert lines
    assert not [line for line in lines if SECRET in line]


async def test_the_error_of_a_wrong_url_contains_no_password(database: Database) -> None:
    async with service_process(
        database, SERVICE_DATABASE_URL=f"postgresql://rw:{SECRET}@localhost:port/app"
    ) as process:
        await process.unready()
        process.send(signal.SIGINT)
        lines = await process.lines()

    assert lines
    assert not [line for line in lines if SECRET in line]


@needs_git
def test_no_commit_contains_a_key() -> None:
    """All commits are searched, not only the newest files."""
    shapes = ("-----BEGIN [A-Z ]*PRIVATE KEY-----", "AKIA[0-9A-Z]{16}", "gh[pousr]_[A-Za-z0-9]{36}", "xox[abp]-[0-9]")
    found = subprocess.run(
        ["git", "log", "--all", "--oneline", "--extended-regexp", "-G", "|".join(shapes)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout == ""


def test_the_image_contains_only_what_is_listed() -> None:
    """Other files, such as .secrets and .env, are not even sent to the builder."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    ignored = [line for line in lines if not line.startswith("#")]
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert ignored[0] == "*"
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN|KEY)", dockerfile, re.MULTILINE | re.IGNORECASE)
    assert not [line for line in ignored if line.startswith("!.")]
