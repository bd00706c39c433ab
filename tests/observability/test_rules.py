"""The recording rules and alerts: they are right, each alert is tried in both directions, and each has a runbook."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.observability.promtool import ROOT, RULES, promtool

UNIT_TESTS = sorted((Path(__file__).parent / "rules").glob("*.yaml"))
SEVERITIES = {"page", "ticket", "info"}
RUNBOOK = re.compile(r"https://git\.example\.com/slipway/blob/main/(docs/\S+\.md)#(\S+)")


def alerts() -> Iterator[dict[str, Any]]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


def anchors(document: Path) -> set[str]:
    """Of its headings, as GitHub and others make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_the_rules_are_valid(file: Path) -> None:
    assert "SUCCESS" in promtool("check", "rules", file)


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.name)
def test_the_rules_do_what_their_unit_tests_say(file: Path) -> None:
    promtool("test", "rules", file)


def test_each_alert_is_tried_firing_and_silent() -> None:
    tried: dict[str, set[bool]] = defaultdict(set)
    for file in UNIT_TESTS:
        for group in yaml.safe_load(file.read_text())["tests"]:
            for case in group.get("alert_rule_test", []):
                tried[case["alertname"]].add(bool(case["exp_alerts"]))

    assert tried == {alert["alert"]: {True, False} for alert in alerts()}


@pytest.mark.parametrize("alert", list(alerts()), ids=lambda alert: str(alert["alert"]))
def test_each_alert_says_what_happened_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in SEVERITIES
    assert alert["annotations"].keys() == {"summary", "runbook_url"}
    link = RUNBOOK.fullmatch(alert["annotations"]["runbook_url"])
    assert link, "the runbooks are in docs/operations.md"
    assert link[2] == alert["alert"].lower()
    assert link[2] in anchors(ROOT / link[1]), f"{link[1]} has no section {alert['alert']}"
