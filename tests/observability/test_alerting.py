"""Alerts reach their receivers: what k8s/components/alerting says, with a real Prometheus and a real Alertmanager."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from checks.links import PUBLISHED
from tests.observability import alertmanager
from tests.observability.alerting import alerts
from tests.observability.alertmanager import COMPONENT, SECRETS, configuration, documented_receivers
from tests.observability.promtool import PROMETHEUS, RULES
from tests.observability.receivers import Receivers, Told
from tests.waiting import eventually
from workbench.console import Console
from workbench.machine import ports
from workbench.parts.probe import until_ok
from workbench.parts.process import Part
from workbench.programs.alertmanager import Programs
from workbench.programs.prometheus import Programs as PrometheusPrograms
from workbench.project import NAME

RECEIVERS = ("page", "ticket", "heartbeat")
INTERVAL = "200ms"


@pytest.fixture
async def receivers() -> AsyncIterator[Receivers]:
    async with Receivers().running() as receivers:
        yield receivers


@pytest.fixture
async def api(
    receivers: Receivers, alertmanager_programs: Programs, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """That of an Alertmanager with the routes and receivers of the component."""
    addresses = {name: receivers.address(name) for name in RECEIVERS}
    async with alertmanager.running(alertmanager_programs, configuration(), addresses, tmp_path) as client:
        yield client


@pytest.mark.parametrize("given", [None, documented_receivers()], ids=["webhooks", "documented"])
def test_the_configuration_is_valid(given: str | None, alertmanager_programs: Programs, tmp_path: Path) -> None:
    alertmanager.checked(alertmanager_programs, configuration(given), tmp_path)


def test_a_receiver_that_does_not_exist_is_an_error(alertmanager_programs: Programs, tmp_path: Path) -> None:
    config = configuration()
    config["receivers"].pop()

    with pytest.raises(AssertionError, match='undefined receiver "heartbeat"'):
        alertmanager.checked(alertmanager_programs, config, tmp_path)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"severity": "page"}, {"page"}),
        ({"severity": "ticket"}, {"ticket"}),
        ({"severity": "unheard-of"}, {"ticket"}),
        ({}, {"ticket"}),
        ({"alertname": "Watchdog", "severity": "none"}, {"heartbeat"}),
        ({"alertname": "AlertsNotDelivered", "severity": "page"}, {"page", "ticket"}),
    ],
)
def test_the_severity_decides_who_is_told(
    labels: dict[str, str], told: set[str], alertmanager_programs: Programs, tmp_path: Path
) -> None:
    file = alertmanager.checked(alertmanager_programs, configuration(), tmp_path)

    assert alertmanager.receivers_of(alertmanager_programs, file, {"alertname": "Any", **labels}) == told


def test_each_alert_that_a_route_or_an_inhibition_names_exists() -> None:
    config = configuration()
    matchers = [matcher for route in config["route"]["routes"] for matcher in route["matchers"]]
    for rule in config["inhibit_rules"]:
        matchers += [*rule["source_matchers"], *rule["target_matchers"]]
    values = [matcher.split('"')[1] for matcher in matchers if matcher.startswith("alertname")]
    named = {name for value in values for name in value.split("|")}

    assert named <= {alert["alert"] for alert in alerts()}
    assert len(named) > 5


def test_only_an_alert_that_is_told_inhibits_others() -> None:
    """Otherwise nobody would hear of either."""
    severities = {alert["alert"]: alert["labels"]["severity"] for alert in alerts()}
    for rule in configuration()["inhibit_rules"]:
        [source] = [matcher.split('"')[1] for matcher in rule["source_matchers"]]
        assert severities[source] == "page"
        assert "namespace" in rule["equal"]


def test_receivers_contain_no_secret() -> None:
    """Only the names of files, each of which a key of the Secret makes."""
    for receiver in configuration()["receivers"]:
        [webhook] = receiver["webhook_configs"]
        assert webhook["url_file"] == f"{SECRETS}/{receiver['name']}"
    documented = yaml.safe_load(documented_receivers())
    assert [receiver["name"] for receiver in documented["receivers"]] == list(RECEIVERS)
    assert "password:" not in documented_receivers()


async def test_prometheus_fires_and_alertmanager_tells_those_whom_it_concerns(
    receivers: Receivers, api: httpx.AsyncClient, prometheus_programs: PrometheusPrograms, tmp_path: Path
) -> None:
    healthy = {
        series("service_check_ok", 'check="database"'): 1.0,
        series("service_lifecycle_state", 'state="ready"'): 1.0,
        series("kubelet_volume_stats_available_bytes", 'persistentvolumeclaim="data-postgres-0"'): 50.0,
        series("kubelet_volume_stats_capacity_bytes", 'persistentvolumeclaim="data-postgres-0"'): 100.0,
        series("reload_code_stale", ""): 1.0,  # an alert of severity info
    }
    database, ready, free, *_ = healthy
    receivers.metrics = dict(healthy)
    prometheus = await start_prometheus(prometheus_programs, receivers, api, tmp_path)
    try:
        # The dead man's switch is heard again and again, while nothing else is wrong.
        await receivers.until("heartbeat", lambda told: told.count(Told("Watchdog", "firing")) >= 2)

        receivers.metrics |= {database: 0, free: 5}
        await receivers.until_told("page", "DatabaseUnreachable", "firing")
        await receivers.until_told("ticket", "VolumeFilling", "firing")

        # What follows from it is known, and not told.
        receivers.metrics |= {ready: 0}
        await eventually(lambda: is_inhibited(api, "NoReplicaReady"), "Alertmanager inhibits NoReplicaReady")
        assert {name for name, _ in receivers.told("page")} == {"DatabaseUnreachable"}

        receivers.metrics |= {database: 1}
        await receivers.until_told("page", "DatabaseUnreachable", "resolved")
        await receivers.until_told("page", "NoReplicaReady", "firing")

        receivers.metrics = dict(healthy)
        await receivers.until_told("page", "NoReplicaReady", "resolved")
        await receivers.until_told("ticket", "VolumeFilling", "resolved")
    finally:
        await prometheus.kill()
    severities = {alert["alert"]: alert["labels"]["severity"] for alert in alerts()}
    told = {receiver: {severities[name] for name, _ in receivers.told(receiver)} for receiver in receivers.messages}
    assert told == {"page": {"page"}, "ticket": {"ticket"}, "heartbeat": {"none"}}
    links = {alert["annotations"]["runbook_url"] for page in receivers.messages["page"] for alert in page["alerts"]}
    assert links == {f"{PUBLISHED}docs/operations.md#{name}" for name in ("databaseunreachable", "noreplicaready")}
    assert "CodeOlderThanFiles" not in {alert["labels"]["alertname"] for alert in await known(api)}


async def test_one_message_has_what_belongs_together(receivers: Receivers, api: httpx.AsyncClient) -> None:
    missing = [alert("StandbyMissing", "ticket", slot_name=str(number)) for number in range(3)]

    def sizes() -> set[tuple[str, int]]:
        messages = receivers.messages.get("ticket", [])
        return {(message["groupLabels"]["namespace"], len(message["alerts"])) for message in messages}

    await post(api, *missing, alert("StandbyMissing", "ticket", namespace="elsewhere"))
    await receivers.until("ticket", lambda _: sizes() >= {(NAME, 3), ("elsewhere", 1)})

    assert max(size for _, size in sizes()) == 3


async def test_the_end_of_the_heartbeat_is_silence(receivers: Receivers, api: httpx.AsyncClient) -> None:
    """A message would be taken for a sign of life. The end of another alert is a message."""
    await post(api, alert("Watchdog", "none"), alert("NoReplicaReady", "page"))
    await receivers.until_told("heartbeat", "Watchdog", "firing")
    await receivers.until_told("page", "NoReplicaReady", "firing")

    now = datetime.now(UTC).isoformat()
    await post(api, alert("Watchdog", "none") | {"endsAt": now}, alert("NoReplicaReady", "page") | {"endsAt": now})
    await receivers.until_told("page", "NoReplicaReady", "resolved")
    await eventually(lambda: has_no_group(api, "heartbeat"), "Alertmanager has dealt with the end of Watchdog")

    assert {status for _, status in receivers.told("heartbeat")} == {"firing"}


def series(metric: str, label: str) -> str:
    return f"{metric}{{{label}}}"


async def start_prometheus(
    programs: PrometheusPrograms, receivers: Receivers, api: httpx.AsyncClient, folder: Path
) -> Part:
    """One that has the rules, without the time that an alert waits, and sends as the cluster's does.

    It scrapes the receivers as if they were the service.
    """
    for file in RULES:
        rules = yaml.safe_load(file.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            rule.pop("for", None)
        (folder / file.name).write_text(yaml.safe_dump(rules))
    targets = yaml.safe_load((COMPONENT / "alertmanagers.yml").read_text())
    targets[0]["targets"] = [api.base_url.netloc.decode()]
    (folder / "alertmanagers.yml").write_text(yaml.safe_dump(targets))

    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(config["global"], INTERVAL)
    config["rule_files"] = [str(folder / file.name) for file in RULES]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    [port] = ports.free(1)
    jobs["prometheus"]["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
    for discovery in (*config["alerting"]["alertmanagers"], jobs["alertmanager"]):
        discovery["file_sd_configs"] = [{"files": [str(folder / "alertmanagers.yml")]}]
    labels = {"namespace": NAME, "instance": "a"}
    service = [{"targets": [f"127.0.0.1:{receivers.port}"], "labels": labels}]
    config["scrape_configs"] = [
        {"job_name": NAME, "static_configs": service},
        jobs["prometheus"],
        jobs["alertmanager"],
    ]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    part = await Part.start(
        "prometheus",
        programs.prometheus,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        console=Console(sys.stderr),
    )
    await part.becomes_ready(until_ok(port, "/-/ready", alertmanager.WITHIN))
    return part


def alert(name: str, severity: str, **labels: str) -> dict[str, Any]:
    ends = datetime.now(UTC) + timedelta(hours=1)
    return {
        "labels": {"namespace": NAME, "alertname": name, "severity": severity, **labels},
        "endsAt": ends.isoformat(),
    }


async def post(api: httpx.AsyncClient, *given: dict[str, Any]) -> None:
    answer = await api.post("/alerts", json=given)
    assert answer.status_code == 200, answer.text


async def known(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get("/alerts")).json()
    return found


async def is_inhibited(api: httpx.AsyncClient, name: str) -> bool:
    return any(alert["status"]["inhibitedBy"] for alert in await known(api) if alert["labels"]["alertname"] == name)


async def has_no_group(api: httpx.AsyncClient, receiver: str) -> bool:
    groups = (await api.get("/alerts/groups")).json()
    return receiver not in {group["receiver"]["name"] for group in groups}
