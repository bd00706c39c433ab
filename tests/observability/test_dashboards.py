"""The dashboards are well-formed and uniform. test_expressions.py tests their queries."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.observability.alerting import RUNBOOK, alerts, anchors
from tests.observability.dashboards import FILES, Json, constants, load, panels, queries, variables
from tests.observability.grafana import unknown
from tests.observability.promtool import ROOT
from workbench.project import NAME

SOURCES = yaml.safe_load((FILES[0].parents[1] / "provisioning" / "datasources.yml").read_text())["datasources"]
RUNBOOKS = "${runbooks:raw}"  # `raw` keeps Grafana from encoding the slashes
HEIGHT_OF_ROW = 1
UNITS = {"short", "percentunit", "reqps", "ops", "s", "ms", "bytes", "Bps"}


def test_the_dashboards_of_any_service_are_there() -> None:
    assert {load(file.stem)["title"] for file in FILES} >= {"Database", "Edit loop", "Mesh", "Service"}


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def dashboard(request: pytest.FixtureRequest) -> Json:
    return load(request.param.stem)


def test_a_dashboard_is_formatted(dashboard: Json) -> None:
    """So that a diff shows only what has changed."""
    text = next(file for file in FILES if file.stem == dashboard["uid"]).read_text()

    assert text == json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def test_grafana_knows_every_field(dashboard: Json) -> None:
    assert unknown(dashboard) == []


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    dashboard = load("service")
    wrong = next(panel for panel in panels(dashboard) if "legend" in panel["options"])
    wrong["options"]["legends"] = wrong["options"].pop("legend")
    position = dashboard["panels"].index(wrong)

    assert unknown(dashboard) == [f"/panels/{position}/options/legends"]


def test_its_ids_are_unique(dashboard: Json) -> None:
    ids = Counter(panel["id"] for panel in dashboard["panels"])

    assert max(ids.values()) == 1
    assert sum(load(file.stem)["uid"] == dashboard["uid"] for file in FILES) == 1
    assert dashboard["schemaVersion"] == 42
    assert dashboard["tags"] == ["application"], "the dashboards link to each other by this tag"
    assert dashboard["editable"] is False


def test_its_panels_fill_the_grid_without_overlap(dashboard: Json) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]

    for title, place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24, title
    for (one, a), (other, b) in combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, f"{one} and {other} overlap"
    assert all(panel["gridPos"]["h"] == HEIGHT_OF_ROW for panel in dashboard["panels"] if panel["type"] == "row")
    bottom = max(place["y"] + place["h"] for _, place in places)
    assert sum(place["w"] * place["h"] for _, place in places) == 24 * bottom, "there is a gap"


def test_each_panel_has_a_title_a_unit_and_a_description(dashboard: Json) -> None:
    titles = Counter(panel["title"] for panel in panels(dashboard))
    assert max(titles.values()) == 1
    for panel in panels(dashboard):
        assert panel["title"], panel["id"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["description"].endswith("."), panel["title"]


def test_each_data_source_is_provisioned(dashboard: Json) -> None:
    known = {(source["type"], source["uid"]) for source in SOURCES}
    named = [part["datasource"] for panel in panels(dashboard) for part in (panel, *panel["targets"])]
    named += [part["datasource"] for part in dashboard["annotations"]["list"]]
    named += [part["datasource"] for part in dashboard["templating"]["list"] if part["type"] != "constant"]

    assert {(source["type"], source["uid"]) for source in named} <= known


def test_it_can_be_narrowed_to_a_namespace_and_an_instance(dashboard: Json) -> None:
    assert [name for name, _, _ in variables(dashboard)] == ["namespace", "instance", "runbooks"]
    assert [variable["name"] for variable in dashboard["templating"]["list"] if variable["hide"] == 0] == [
        "namespace",
        "instance",
    ]


def test_it_names_the_service_once_and_asks_prometheus_where_the_runbooks_are(dashboard: Json) -> None:
    assert constants(dashboard) == {"service": NAME}
    assert ("runbooks", "runbooks", "url") in variables(dashboard)
    jobs = re.findall(r'job="([^"]*)"', " ".join(query.text for query in queries(dashboard)))
    assert set(jobs) <= {"$service"}


def test_its_links_lead_somewhere(dashboard: Json) -> None:
    known = {alert["alert"] for alert in alerts()}
    for link in (link for panel in panels(dashboard) for link in panel.get("links", [])):
        found = runbook(link["url"])
        assert found, link
        assert found[2] in anchors(ROOT / "docs" / found[1]), link
        name = link["title"].removeprefix("Runbook: ")
        assert name in known, link
        assert name.lower() == found[2], link
    urls = {link["title"]: link["url"] for link in dashboard["links"]}
    runbooks = runbook(urls["Runbooks"])
    assert runbooks
    assert runbooks[2] in anchors(ROOT / "docs" / runbooks[1])
    tilt = (ROOT / "tilt" / "observability.tiltfile").read_text()
    jaeger, path = urls["Traces"].split("/search")
    assert f"JAEGER = '{jaeger}'" in tilt
    assert path == "?service=$service"
    assert "JAEGER + '/search?service=' + service" in tilt


def runbook(url: str) -> re.Match[str] | None:
    return RUNBOOK.fullmatch(url.removeprefix(RUNBOOKS)) if url.startswith(RUNBOOKS) else None


def test_each_alert_has_a_panel_that_leads_to_its_runbook() -> None:
    linked = {
        link["title"].removeprefix("Runbook: ")
        for file in FILES
        for panel in panels(load(file.stem))
        for link in panel.get("links", [])
    }

    # Prometheus shows these on its own pages.
    assert {alert["alert"] for alert in alerts()} - linked == {
        "TargetDown",
        "TargetMissing",
        "ConfigurationNotLoaded",
        "Watchdog",
        "AlertsNotDelivered",
    }


def test_exemplars_lead_to_the_traces() -> None:
    [prometheus] = [source for source in SOURCES if source["type"] == "prometheus"]
    [jaeger] = [source for source in SOURCES if source["type"] == "jaeger"]
    [destination] = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert destination == {"name": "trace_id", "datasourceUid": jaeger["uid"]}
    shown = [
        panel["title"]
        for panel in panels(load("service"))
        if any(target.get("exemplar") for target in panel["targets"])
    ]

    assert shown == ["Duration"]


def test_every_dashboard_is_mounted_where_grafana_looks() -> None:
    grafana = FILES[0].parents[1]
    mounts = (grafana / "deployment.yaml").read_text()
    provider = yaml.safe_load((grafana / "provisioning" / "dashboards.yml").read_text())["providers"][0]
    kustomization = yaml.safe_load((grafana / "kustomization.yaml").read_text())
    generated = {generator["name"]: generator["files"] for generator in kustomization["configMapGenerator"]}

    for name in (file.stem for file in FILES):
        assert f"{{ name: dashboard-{name}, mountPath: {provider['options']['path']}/{name} }}" in mounts
        assert f"configMap: {{ name: grafana-dashboard-{name} }}" in mounts
        assert generated[f"grafana-dashboard-{name}"] == [f"dashboards/{name}.json"]
    assert f"value: {provider['options']['path']}/service/service.json" in mounts, "the home dashboard"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_kubectl_can_apply_each_dashboard(file: Path) -> None:
    """`kubectl apply` stores the object in an annotation, and annotations are limited to 256 KiB."""
    assert len(json.dumps(file.read_text())) < 200_000
