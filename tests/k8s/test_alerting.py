"""k8s/components/alerting, with and without which Prometheus's manifests are the same.

What the configuration does is tested in tests/observability/test_alerting.py.
"""

import re
from base64 import b64decode
from copy import deepcopy
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from checks.links import PUBLISHED
from cluster import secrets
from tests.k8s import references, rules
from tests.k8s.kustomization import build, without_hashes
from tests.k8s.objects import containers, find, of_kind
from tests.k8s.project import K8S, ROOT, Object
from tests.k8s.schemas import kubernetes_version

COMPONENT = K8S / "components" / "alerting"


@pytest.fixture(scope="module")
def alerting(with_users: list[Object]) -> list[Object]:
    return build(COMPONENT, deepcopy(with_users))


def test_it_adds_objects_and_changes_none(alerting: list[Object], with_users: list[Object]) -> None:
    before = without_hashes(with_users)
    after = without_hashes(alerting)
    added = [item for item in after if item not in before]

    assert len(added) == len(after) - len(before)
    assert {item["kind"] for item in added} == {
        *("ConfigMap", "NetworkPolicy", "Service", "ServiceAccount", "StatefulSet")
    }
    assert {item["metadata"]["namespace"] for item in added} == {"observability"}


@pytest.mark.parametrize("check", [*references.CHECKS, *rules.CHECKS], ids=lambda check: check.__name__)
def test_the_manifests_pass(alerting: list[Object], check: references.Check) -> None:
    assert check(alerting) == []


def test_its_objects_are_valid(alerting: list[Object]) -> None:
    for item in alerting:
        if item["metadata"]["name"] == "alertmanager":
            kubernetes_validate.validate(item, kubernetes_version(), strict=True)


def test_prometheus_finds_it_by_a_file_that_only_the_component_brings(
    alerting: list[Object], with_users: list[Object]
) -> None:
    pod = find(alerting, "StatefulSet", "prometheus")["spec"]["template"]["spec"]
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "alertmanagers"]
    folder = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}["alertmanagers"]
    config = yaml.safe_load(find(alerting, "ConfigMap", "prometheus-config")["data"]["prometheus.yml"])
    discovery = {"file_sd_configs": [{"files": [f"{folder}/*.yml"]}]}
    assert config["alerting"]["alertmanagers"] == [discovery]
    assert {"job_name": "alertmanager", **discovery} in config["scrape_configs"]

    assert volume["configMap"] == {"name": "prometheus-alertmanagers", "optional": True}
    assert "prometheus-alertmanagers" not in {item["metadata"]["name"] for item in of_kind(with_users, "ConfigMap")}
    [targets] = find(alerting, "ConfigMap", "prometheus-alertmanagers")["data"].values()
    [target] = yaml.safe_load(targets)
    service = find(alerting, "Service", "alertmanager")
    host = f"alertmanager.{service['metadata']['namespace']}.svc.cluster.local"
    assert target["targets"] == [f"{host}:{service['spec']['ports'][0]['port']}"]


def test_the_pod_joins_routes_and_receivers(alerting: list[Object]) -> None:
    configuration, server = containers(find(alerting, "StatefulSet", "alertmanager"))
    [command] = configuration["args"]
    read, _, written = command.removeprefix("cat ").partition(" >")
    mounts = {mount["mountPath"]: mount["name"] for mount in configuration["volumeMounts"]}
    volumes = find(alerting, "StatefulSet", "alertmanager")["spec"]["template"]["spec"]["volumes"]
    mounted = {volume["name"]: volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
    maps = {item["metadata"]["name"]: item["data"] for item in of_kind(alerting, "ConfigMap")}
    files = [Path(configuration["workingDir"]) / file for file in read.split()]
    parts = [maps[mounted[mounts[str(file.parent)]]][file.name] for file in files]

    assert parts == [(COMPONENT / name).read_text() for name in ("routes.yml", "receivers.yml")]
    assert f"--config.file={written}" in server["args"]
    assert configuration["image"] == server["image"]
    assert not {*yaml.safe_load(parts[0])} & {*yaml.safe_load(parts[1])}, "a key would be there twice"


def test_each_secret_that_a_receiver_reads_is_created(alerting: list[Object], tmp_path: Path) -> None:
    [made] = [item for item in secrets.manifests(tmp_path)["items"] if item["metadata"]["name"] == "alertmanager"]
    receivers = yaml.safe_load((COMPONENT / "receivers.yml").read_text())["receivers"]
    files = {Path(webhook["url_file"]) for receiver in receivers for webhook in receiver["webhook_configs"]}
    [server] = find(alerting, "StatefulSet", "alertmanager")["spec"]["template"]["spec"]["containers"]
    [folder] = [mount["mountPath"] for mount in server["volumeMounts"] if mount["name"] == "secrets"]

    assert {file.name for file in files} == {*made["data"]} == {*secrets.RECEIVERS}
    assert {str(file.parent) for file in files} == {folder}


def test_what_a_person_has_written_stays_and_is_all_in_the_secret(tmp_path: Path) -> None:
    (tmp_path / "alertmanager-page").write_text("https://on-call.example.com/hooks/1\n")
    (tmp_path / "alertmanager-smtp-password").write_text("a password\n")
    [made] = [item for item in secrets.manifests(tmp_path)["items"] if item["metadata"]["name"] == "alertmanager"]

    assert b64decode(made["data"]["page"]) == b"https://on-call.example.com/hooks/1"
    assert b64decode(made["data"]["smtp-password"]) == b"a password"


def test_an_overlay_says_in_one_value_where_the_runbooks_are(dev: list[Object], tmp_path: Path) -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    [patch] = re.findall(r"<!-- runbooks -->\n```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "runbooks.yaml").write_text(patch)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [{"path": "runbooks.yaml"}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    before = find(dev, "ConfigMap", "prometheus-rules")["data"]
    after = find(build(tmp_path, deepcopy(dev)), "ConfigMap", "prometheus-rules")["data"]

    [changed] = [name for name, content in after.items() if content != before[name]]
    old, new = (yaml.safe_load(content[changed])["groups"] for content in (before, after))
    assert old[0]["rules"][0]["labels"].pop("url") == f"{PUBLISHED}docs/"
    assert new[0]["rules"][0]["labels"].pop("url") == "https://HOST/NAME/blob/main/docs/"
    assert new == old
