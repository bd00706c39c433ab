"""What the service knows and nobody else should: in no log, no error, no metric, no image and no commit."""

import re
import signal
import subprocess

import pytest

from tests.service.commands import ROOT
from tests.service.databases import Database
from tests.service.processes import service_process
from tests.waiting import eventually

SECRET = "s3cr3t-Tide"  # noqa: S105 - nobody's
PATHS = ("/", "/notes", "/notes/export", "/notes/events", "/nothing", "/openapi.json", "/docs")


@pytest.mark.parametrize("where", ["password", "url"])
@pytest.mark.parametrize("reachable", [True, False], ids=["database", "no database"])
async def test_a_password_is_told_to_the_database_only(database: Database, where: str, reachable: bool) -> None:
    url = database.url("app_rw") if reachable else "postgresql://app_rw@127.0.0.1:1/app"
    if where == "url":
        url = url.replace("app_rw@", f"app_rw:{SECRET}@")
    variables = {"SERVICE_DATABASE_URL": url, "SERVICE_LOG_LEVEL": "debug", "SERVICE_LOG_FORMAT": "json"}
    if where == "password":
        variables["SERVICE_DATABASE_PASSWORD"] = SECRET
    told = []
    async with service_process(database, share=False, **variables) as process:

        async def checked() -> bool:
            ready = await process.ops.get("/readyz")
            told.append(ready.text)
            return "database" in ready.json()["checks"]

        await eventually(checked, "the database was asked")
        for path in PATHS:
            async with process.api.stream("GET", path, headers={"accept": "text/html"}) as answer:
                told.append(f"{answer.headers}")
                if path != "/notes/events" or answer.status_code != 200:  # that has no end
                    told.append((await answer.aread()).decode())
        told.append((await process.api.post("/notes", content=b"{")).text)
        told.append((await process.ops.get("/metrics")).text)
        process.send(signal.SIGTERM)
        process.send(signal.SIGTERM)
        told += await process.lines()

    assert not [text for text in told if SECRET in text]


async def test_a_service_with_a_wrong_setting_tells_none(database: Database) -> None:
    async with service_process(database, SERVICE_DATABASE_PASSWORD=SECRET, SERVICE_POOL_SIZE="none") as process:
        lines = await process.lines()

    assert lines
    assert not [line for line in lines if SECRET in line]


async def test_a_service_with_a_wrong_url_tells_none(database: Database) -> None:
    async with service_process(
        database, SERVICE_DATABASE_URL=f"postgresql://rw:{SECRET}@localhost:port/app"
    ) as process:
        await process.unready()
        process.send(signal.SIGINT)
        lines = await process.lines()

    assert lines
    assert not [line for line in lines if SECRET in line]


def test_no_commit_holds_a_key() -> None:
    """Of all commits, not only of the newest files."""
    shapes = ("-----BEGIN [A-Z ]*PRIVATE KEY-----", "AKIA[0-9A-Z]{16}", "gh[pousr]_[A-Za-z0-9]{36}", "xox[abp]-[0-9]")
    found = subprocess.run(
        ["git", "log", "--all", "--oneline", "--extended-regexp", "-G", "|".join(shapes)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout == ""


def test_the_image_is_made_of_what_is_named_only() -> None:
    """What nobody thought of, such as .secrets or .env, is not sent to the builder at all."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    ignored = [line for line in lines if not line.startswith("#")]
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert ignored[0] == "*"
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN|KEY)", dockerfile, re.MULTILINE | re.IGNORECASE)
    assert not [line for line in ignored if line.startswith("!.")]
