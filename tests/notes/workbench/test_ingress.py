"""The ingress rules for the streams of notes."""

import json
from pathlib import Path

import pytest

from service.settings import Settings
from tests.workbench.ingress.changed_rules import RULES, STREAMS, changed_rules
from tests.workbench.ingress.translation import connection_manager, http_names, route, routes, seconds
from workbench.ingress.bootstrap import cluster_name


def test_streams_are_matched_before_other_requests() -> None:
    assert http_names(RULES) == [
        "curl-is-throttled",
        "events",
        "export",
        "import",
        "creates-with-key",
        "writes",
        "reads",
    ]


def test_streams_have_a_cluster_of_their_own() -> None:
    to_streams = [found["name"] for found in routes(RULES) if cluster_name("streams") in json.dumps(found)]
    assert to_streams == ["events", "export", "import"]


@pytest.mark.parametrize("tried", STREAMS)
def test_the_streams_of_notes_have_the_rules_of_those_that_are_tried_on_an_envoy(tried: str, tmp_path: Path) -> None:
    """tests/workbench/ingress tries how Envoy treats the streams of things: their time, size, slots and retries."""
    rules = changed_rules(tmp_path / "istio")
    of_notes = json.dumps(route(rules, tried)).replace("/things/", "/notes/").replace("things-", "")
    assert route(RULES, tried.removeprefix("things-")) == json.loads(of_notes)


def test_the_gateway_allows_longer_requests_than_the_import_timeout() -> None:
    setting = Settings.model_fields["import_timeout"]
    limit = seconds(connection_manager(RULES)["request_timeout"])
    assert limit > setting.default
    assert f"The gateway's limit is {limit:g}" in str(setting.description)
