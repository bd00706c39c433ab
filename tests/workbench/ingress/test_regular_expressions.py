"""The workbench judges regular expressions and header values as Envoy does, and names the file and the field."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.ingress.changed_rules import RULES, EditRules
from tests.workbench.ingress.translation import VIRTUAL_SERVICE, assert_refused, route, translate
from workbench.parts import envoy_program

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
    "nothing to repeat": "*",
    "possessive group": r"/(?:a)*+",
    "too many repetitions": r"/a{1,1001}",
    "property that does not exist": r"/\p{Nonsense}",
    "empty": "",
}
RIGHT = {
    "alternatives": r"/(?:things|places)(?:/.*)?",
    "escaped signs": r"/\(\?=\++",
    "signs in a set": r"/[*+]+[^]?+]*",
    "escaped backslash": r"/\\1",
    "class of Unicode": r"/\p{L}+",
    "end of text, as Go writes it": r"/a\z",
    "quoted": r"/\Qa.b\E",
    "named group": r"/(?<id>[0-9]+)",
    "most repetitions": r"/a{1,1000}",
    "flag and named group": r"(?i)/(?P<name>[[:alpha:]]+)",
}


def with_expression(edited_rules: EditRules, expression: str) -> Path:
    return edited_rules((VIRTUAL_SERVICE, '".*/stream"', json.dumps(expression)))


def envoy_accepts(folder: Path, fields: dict[str, Any]) -> bool:
    """Whether Envoy, started as the workbench does, accepts a route with these fields."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}, **fields}
    config = translate(RULES)
    del config["admin"]
    [ingress] = config["static_resources"]["listeners"]
    [manager] = ingress["filter_chains"][0]["filters"]
    manager["typed_config"]["route_config"]["virtual_hosts"][0]["routes"] = [route]
    file = folder / "envoy.json"
    file.write_text(json.dumps(config))
    command = [str(envoy_program.program()), "--mode", "validate", "--config-path", str(file), "--log-level", "off"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("expression", WRONG.values(), ids=WRONG)
def test_what_envoy_refuses_is_refused(edited_rules: EditRules, tmp_path: Path, expression: str) -> None:
    rules = with_expression(edited_rules, expression)
    assert_refused(rules, VIRTUAL_SERVICE, "spec.http[1].match[0].uri.regex", repr(expression))
    assert not envoy_accepts(tmp_path, {"match": {"safe_regex": {"regex": expression}}})


@pytest.mark.parametrize("expression", RIGHT.values(), ids=RIGHT)
def test_what_envoy_accepts_is_translated(edited_rules: EditRules, tmp_path: Path, expression: str) -> None:
    assert json.dumps(expression) in json.dumps(translate(with_expression(edited_rules, expression)))
    assert envoy_accepts(tmp_path, {"match": {"safe_regex": {"regex": expression}}})


def test_an_expression_is_not_longer_than_istio_allows(edited_rules: EditRules) -> None:
    translate(with_expression(edited_rules, "a" * 1024))
    longer = with_expression(edited_rules, "a" * 1025)
    assert_refused(longer, VIRTUAL_SERVICE, "spec.http[1].match[0].uri.regex", "up to 1024 bytes")


@pytest.mark.parametrize(
    "value", ["100%", "%", "a%20b", "%REQ(user-agent)%%", "%req(user-agent)%", "%REQ(a):b%", "a\nb"]
)
def test_a_header_value_that_envoy_cannot_read_is_refused(
    edited_rules: EditRules, tmp_path: Path, value: str
) -> None:
    rules = edited_rules((VIRTUAL_SERVICE, 'retry-after: "60"', f"retry-after: {json.dumps(value)}"))
    assert_refused(rules, VIRTUAL_SERVICE, "spec.http[0].headers.response.set.retry-after", repr(value))
    assert not envoy_accepts(tmp_path, header(value))


@pytest.mark.parametrize("value", ["100%%", "%REQ(user-agent?accept):20% %PROTOCOL%", "%START_TIME(%s)%", ""])
def test_a_header_value_with_commands_is_translated(edited_rules: EditRules, tmp_path: Path, value: str) -> None:
    rules = edited_rules((VIRTUAL_SERVICE, 'retry-after: "60"', f"retry-after: {json.dumps(value)}"))
    [added] = route(rules, "refused")["response_headers_to_add"]
    assert added["header"] == {"key": "retry-after", "value": value}
    assert envoy_accepts(tmp_path, header(value))


def header(value: str) -> dict[str, Any]:
    return {"response_headers_to_add": [{"header": {"key": "a", "value": value}}]}
