"""The errors for rule files that are missing, cannot be read, or do not make up one set of rules."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.translation import (
    AUTHORIZATION_POLICY,
    BUFFER,
    CONNECTIONS,
    DESTINATION_RULE,
    GATEWAY,
    KUSTOMIZATION,
    REQUEST_AUTHENTICATION,
    VIRTUAL_SERVICE,
    assert_refused,
    connection_manager,
    translate,
)
from workbench.ingress.bootstrap import IngressRuleError, read_rules
from workbench.ingress.rules import IDENTITY_HOST


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (GATEWAY, "kind: Gateway", "kind: Sidecar", ["Gateway", "none"]),
        (GATEWAY, "kind: Gateway", "kind: VirtualService", ["Gateway", "none"]),
        (KUSTOMIZATION, "- destinationrule.yaml", "- destinationrule.yaml\n  - other.yaml", ["other.yaml"]),
    ],
)
def test_a_wrong_number_of_objects_is_refused(
    edited_rules: EditRules, file: str, old: str, new: str, words: list[str]
) -> None:
    rules = edited_rules((file, old, new))
    shutil.copy(rules / DESTINATION_RULE, rules / "other.yaml")
    assert_refused(rules, KUSTOMIZATION, "resources", *words)


def test_of_two_envoyfilters_only_one_sets_a_field_of_the_connection_manager(edited_rules: EditRules) -> None:
    rules = edited_rules((KUSTOMIZATION, f"- {CONNECTIONS}", f"- {CONNECTIONS}\n  - envoyfilter.yaml"))
    text = (rules / CONNECTIONS).read_text().replace("name: connections", "name: more")
    (rules / "envoyfilter.yaml").write_text(text)
    assert_refused(rules, "envoyfilter.yaml", "spec.configPatches[0]", "sets local_reply_config.body_format too")
    (rules / "envoyfilter.yaml").write_text(text.partition("            local_reply_config")[0])
    assert_refused(rules, "envoyfilter.yaml", "spec.configPatches[0]", "sets request_headers_timeout too")


def test_the_mappers_of_several_envoyfilters_are_in_the_order_of_their_priorities(edited_rules: EditRules) -> None:
    body = "body_format:\n                text_format_source: { inline_string: refused }"
    mapper = "mappers: [{{ status_code: {} }}]"
    rules = edited_rules(
        (KUSTOMIZATION, f"- {CONNECTIONS}", f"- {CONNECTIONS}\n  - envoyfilter.yaml"),
        (CONNECTIONS, body, mapper.format(401)),
    )
    first = (rules / CONNECTIONS).read_text().replace("401", "403").replace("request_headers_timeout: 10s", "")
    (rules / "envoyfilter.yaml").write_text(first.replace("spec:", "spec:\n  priority: -1"))
    manager = connection_manager(rules)
    assert manager["local_reply_config"] == {"mappers": [{"status_code": 403}, {"status_code": 401}]}
    assert manager["request_headers_timeout"] == "10s"


def test_keys_are_fetched_from_the_identity_provider_only(edited_rules: EditRules) -> None:
    rules = edited_rules()
    document = yaml.safe_load((rules / REQUEST_AUTHENTICATION).read_text())
    [rule] = document["spec"]["jwtRules"]
    del rule["jwks"]
    for uri in (f"https://{IDENTITY_HOST}/keys", f"http://{IDENTITY_HOST}.example/keys", "http://other.example/keys"):
        rule["jwksUri"] = uri
        (rules / REQUEST_AUTHENTICATION).write_text(yaml.safe_dump(document))
        assert_refused(rules, REQUEST_AUTHENTICATION, "spec.jwtRules[0].jwksUri", f"use http://{IDENTITY_HOST}/")


def test_a_component_adds_rules(edited_rules: EditRules, tmp_path: Path) -> None:
    rules = edited_rules((KUSTOMIZATION, f"  - {AUTHORIZATION_POLICY}\n", ""))
    component = tmp_path / "component"
    component.mkdir()
    shutil.copy(rules / AUTHORIZATION_POLICY, component)
    (component / KUSTOMIZATION).write_text(
        f"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [{AUTHORIZATION_POLICY}]\n"
    )
    assert not read_rules(rules).authorization_policies
    assert [policy.metadata.name for policy in read_rules(rules, [component]).authorization_policies] == ["web"]
    (component / AUTHORIZATION_POLICY).unlink()
    with pytest.raises(IngressRuleError, match="No such file") as caught:
        read_rules(rules, [component])
    assert caught.value.file == component / AUTHORIZATION_POLICY


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


@pytest.mark.parametrize(
    "file", [GATEWAY, VIRTUAL_SERVICE, DESTINATION_RULE, AUTHORIZATION_POLICY, REQUEST_AUTHENTICATION]
)
def test_the_older_version_of_an_object_means_the_same(edited_rules: EditRules, file: str) -> None:
    before = translate(edited_rules())
    assert translate(edited_rules((file, ".istio.io/v1\n", ".istio.io/v1beta1\n"))) == before
