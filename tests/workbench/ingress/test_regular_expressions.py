"""The workbench refuses regular expressions that Envoy would refuse, because it can name the file and the field."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.gateway import ENVOY
from tests.workbench.ingress.translation import VIRTUAL_SERVICE, assert_refused, translate

WRONG = {
    "look-ahead": r"/(?!things).*",
    "look-behind": r"/.*(?<=s)",
    "back reference": r"/(\w+)/\1",
    "named back reference": r"/(?P<one>\w+)/(?P=one)",
    "atomic group": r"/(?>a+)",
    "condition": r"/(a)?(?(1)b|c)",
    "possessive repetition": r"/\w++",
    "comment": r"/(?#all)",
    "end of text": r"/.*\Z",
    "no end": r"/(things",
    "empty": "",
}
RIGHT = {
    "alternatives": r"/(?:things|places)(?:/.*)?",
    "escaped signs": r"/\(\?=\++",
    "signs in a set": r"/[*+]+[^]?+]*",
    "escaped backslash": r"/\\1",
    "flag and named group": r"(?i)/(?P<name>[[:alpha:]]+)",
}


def with_expression(edited_rules: EditRules, expression: str) -> Path:
    return edited_rules((VIRTUAL_SERVICE, '".*/stream"', json.dumps(expression)))


def envoy_accepts(folder: Path, expression: str) -> bool:
    """Whether Envoy accepts the expression as the path of a route."""
    route = {"match": {"safe_regex": {"regex": expression}}, "direct_response": {"status": 200}}
    name = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    manager = {
        "@type": f"type.googleapis.com/{name}",
        "stat_prefix": "a",
        "route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [route]}]},
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "a", "typed_config": manager}]}],
    }
    config = folder / "envoy.json"
    config.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    command = [str(ENVOY), "--mode", "validate", "--config-path", str(config), "--log-level", "off"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("expression", WRONG.values(), ids=WRONG)
def test_what_envoy_refuses_is_refused(edited_rules: EditRules, tmp_path: Path, expression: str) -> None:
    rules = with_expression(edited_rules, expression)
    assert_refused(rules, VIRTUAL_SERVICE, "spec.http[1].match[0].uri.regex", repr(expression))
    assert not envoy_accepts(tmp_path, expression)


@pytest.mark.parametrize("expression", RIGHT.values(), ids=RIGHT)
def test_what_envoy_accepts_is_translated(edited_rules: EditRules, tmp_path: Path, expression: str) -> None:
    assert json.dumps(expression) in json.dumps(translate(with_expression(edited_rules, expression)))
    assert envoy_accepts(tmp_path, expression)
