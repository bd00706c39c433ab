"""The errors for rule files that are missing, cannot be read, or do not make up one set of rules."""

import os
import shutil

import pytest

from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.translation import (
    BUFFER,
    CONNECTIONS,
    DESTINATION_RULE,
    GATEWAY,
    KUSTOMIZATION,
    VIRTUAL_SERVICE,
    assert_refused,
    connection_manager,
    translate,
)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (GATEWAY, "kind: Gateway", "kind: Sidecar", ["Gateway", "none"]),
        (GATEWAY, "kind: Gateway", "kind: VirtualService", ["Gateway", "none"]),
        (KUSTOMIZATION, "- destinationrule.yaml", "- destinationrule.yaml\n  - other.yaml", ["other.yaml"]),
        (KUSTOMIZATION, f"- {CONNECTIONS}", f"- {CONNECTIONS}\n  - envoyfilter.yaml", ["several EnvoyFilters"]),
    ],
)
def test_a_wrong_number_of_objects_is_refused(
    edited_rules: EditRules, file: str, old: str, new: str, words: list[str]
) -> None:
    rules = edited_rules((file, old, new))
    shutil.copy(rules / DESTINATION_RULE, rules / "other.yaml")
    shutil.copy(rules / CONNECTIONS, rules / "envoyfilter.yaml")
    assert_refused(rules, KUSTOMIZATION, "resources", *words)


@pytest.mark.parametrize(
    ("old", "new", "place", "word"),
    [
        ("  selector:", "   selector:", "line 9", "expected"),
        ("spec:", "spec:\n\tselector: {}", "line 7", "cannot start any token"),
        ("  servers:", "  selector: { istio: other }\n  servers:", "line 9", "'selector' appears twice"),
        ("spec:", "---\nspec:", "line 6", "one YAML document"),
        ("istio: ingressgateway", 'istio: "\\ud800"', "line 8", "invalid Unicode character"),
    ],
)
def test_invalid_yaml_is_refused_with_its_line(
    edited_rules: EditRules, old: str, new: str, place: str, word: str
) -> None:
    assert_refused(edited_rules((GATEWAY, old, new)), GATEWAY, place, word)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a string"])
def test_a_file_without_an_object_is_refused(edited_rules: EditRules, text: str) -> None:
    rules = edited_rules()
    (rules / GATEWAY).write_text(text)
    assert_refused(rules, GATEWAY, "", "valid dictionary")


def test_a_file_that_is_not_text_is_refused(edited_rules: EditRules) -> None:
    rules = edited_rules()
    (rules / GATEWAY).write_bytes(b"\xff")
    assert_refused(rules, GATEWAY, "", "UTF-8")


def test_a_pipe_is_refused(edited_rules: EditRules) -> None:
    rules = edited_rules()
    (rules / GATEWAY).unlink()
    os.mkfifo(rules / GATEWAY)
    assert_refused(rules, GATEWAY, "", "is not a file")


@pytest.mark.parametrize("file", [GATEWAY, VIRTUAL_SERVICE, DESTINATION_RULE, CONNECTIONS])
def test_a_missing_file_is_refused(edited_rules: EditRules, file: str) -> None:
    rules = edited_rules()
    (rules / file).unlink()
    assert_refused(rules, file, "", "No such file")


def test_files_that_are_not_listed_are_ignored(edited_rules: EditRules) -> None:
    rules = edited_rules((KUSTOMIZATION, f"  - {BUFFER}\n", ""), (KUSTOMIZATION, f"  - {CONNECTIONS}\n", ""))
    manager = connection_manager(rules)
    assert "buffer" not in str(manager["http_filters"])
    assert "typed_per_filter_config" not in str(manager["route_config"])
    assert "local_reply_config" not in manager


@pytest.mark.parametrize("file", [GATEWAY, VIRTUAL_SERVICE, DESTINATION_RULE])
def test_the_older_version_of_an_object_means_the_same(edited_rules: EditRules, file: str) -> None:
    before = translate(edited_rules())
    assert translate(edited_rules((file, "networking.istio.io/v1\n", "networking.istio.io/v1beta1\n"))) == before
