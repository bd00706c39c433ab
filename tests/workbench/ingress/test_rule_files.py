"""The errors for rule files that are missing, cannot be read, or do not make up one set of rules."""

import shutil

import pytest

from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.translation import (
    BUFFER,
    DESTINATION_RULE,
    GATEWAY,
    KUSTOMIZATION,
    LOCAL_REPLIES,
    VIRTUAL_SERVICE,
    assert_refused,
    connection_manager,
)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (GATEWAY, "kind: Gateway", "kind: Sidecar", ["Gateway", "none"]),
        (GATEWAY, "kind: Gateway", "kind: VirtualService", ["Gateway", "none"]),
        (KUSTOMIZATION, "- destinationrule.yaml", "- destinationrule.yaml\n  - other.yaml", ["other.yaml"]),
        (KUSTOMIZATION, f"- {LOCAL_REPLIES}", f"- {LOCAL_REPLIES}\n  - envoyfilter.yaml", ["several EnvoyFilters"]),
    ],
)
def test_a_wrong_number_of_objects_is_refused(
    edited_rules: EditRules, file: str, old: str, new: str, words: list[str]
) -> None:
    rules = edited_rules((file, old, new))
    shutil.copy(rules / DESTINATION_RULE, rules / "other.yaml")
    shutil.copy(rules / LOCAL_REPLIES, rules / "envoyfilter.yaml")
    assert_refused(rules, KUSTOMIZATION, "resources", *words)


@pytest.mark.parametrize(
    ("old", "new", "below", "word"),
    [
        ("  selector:", "   selector:", 3, "expected"),
        ("spec:", "spec:\n\tselector: {}", 1, "cannot start any token"),
        ("  servers:", "  selector: { istio: other }\n  servers:", 3, "'selector' appears twice"),
        ("spec:", "---\nspec:", 0, "one YAML document"),
    ],
)
def test_invalid_yaml_is_refused_with_its_line(
    edited_rules: EditRules, old: str, new: str, below: int, word: str
) -> None:
    """`below` counts the lines from the one with `spec:`, before the change."""
    first = (edited_rules() / GATEWAY).read_text().splitlines().index("spec:") + 1
    assert_refused(edited_rules((GATEWAY, old, new)), GATEWAY, f"line {first + below}", word)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a string"])
def test_a_file_without_an_object_is_refused(edited_rules: EditRules, text: str) -> None:
    rules = edited_rules()
    (rules / GATEWAY).write_text(text)
    assert_refused(rules, GATEWAY, "", "valid dictionary")


def test_a_file_that_is_not_text_is_refused(edited_rules: EditRules) -> None:
    rules = edited_rules()
    (rules / GATEWAY).write_bytes(b"\xff")
    assert_refused(rules, GATEWAY, "", "UTF-8")


@pytest.mark.parametrize("file", [GATEWAY, VIRTUAL_SERVICE, DESTINATION_RULE, LOCAL_REPLIES])
def test_a_missing_file_is_refused(edited_rules: EditRules, file: str) -> None:
    rules = edited_rules()
    (rules / file).unlink()
    assert_refused(rules, file, "", "No such file")


def test_files_that_are_not_listed_are_ignored(edited_rules: EditRules) -> None:
    rules = edited_rules((KUSTOMIZATION, f"  - {BUFFER}\n", ""), (KUSTOMIZATION, f"  - {LOCAL_REPLIES}\n", ""))
    manager = connection_manager(rules)
    assert "buffer" not in str(manager["http_filters"])
    assert "typed_per_filter_config" not in str(manager["route_config"])
    assert "local_reply_config" not in manager
