"""The recording rules and alerts are valid. Each alert has unit tests in both directions, and a runbook."""

from collections import defaultdict
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from checks.links import PUBLISHED
from tests.observability.alerting import ADDRESS, RUNBOOK, alerts, anchors
from tests.observability.promtool import PROMETHEUS, ROOT, RULES, Promtool
from workbench.project import NAME

UNIT_TESTS = sorted((Path(__file__).parent / "rules").glob("*.yaml"))
SEVERITIES = {"page", "ticket", "info"}
ALWAYS = "Watchdog"
"""The alert that nobody has to do anything about."""


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_the_rules_are_valid(promtool: Promtool, file: Path) -> None:
    assert "SUCCESS" in promtool("check", "rules", file)


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.name)
def test_the_unit_tests_of_the_rules_pass(promtool: Promtool, file: Path, tmp_path: Path) -> None:
    runbooks, alerting = (f"{PUBLISHED}docs/{page}.md" for page in ("operations", "alerting"))
    filled_in = tmp_path / file.name
    words = {"service": NAME, "runbooks": runbooks, "alerting": alerting, "rules": PROMETHEUS / "rules"}
    text = Template(file.read_text()).substitute(words)
    groups = (group["name"] for rules in RULES for group in yaml.safe_load(rules.read_text())["groups"])
    # In a Prometheus the address is known from the last time; here an interval may be longer than that is remembered.
    order = sorted(groups, key=lambda name: name != "runbooks")
    filled_in.write_text(f"{text}\ngroup_eval_order: {order}\n")

    promtool("test", "rules", filled_in)


def test_the_unit_tests_cover_each_alert_firing_and_silent() -> None:
    tested: dict[str, set[bool]] = defaultdict(set)
    for file in UNIT_TESTS:
        for group in yaml.safe_load(file.read_text())["tests"]:
            for case in group.get("alert_rule_test", []):
                tested[case["alertname"]].add(bool(case["exp_alerts"]))

    assert tested == {alert["alert"]: {True, False} for alert in alerts()}


@pytest.mark.parametrize("alert", list(alerts()), ids=lambda alert: str(alert["alert"]))
def test_an_alert_has_a_severity_a_summary_and_a_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in ({"none"} if alert["alert"] == ALWAYS else SEVERITIES)
    assert alert["annotations"].keys() == {"summary", "runbook_url"}
    beginning, _, end = alert["annotations"]["runbook_url"].rpartition(ADDRESS)
    link = RUNBOOK.fullmatch(end)
    assert link, "the runbooks are in docs/"
    assert beginning == ""
    assert link[2] == alert["alert"].lower()
    assert link[2] in anchors(ROOT / "docs" / link[1]), f"{link[1]} has no section {alert['alert']}"
