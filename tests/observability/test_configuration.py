"""The configuration of the cluster's Prometheus is valid, and names the files that are mounted."""

import re
from typing import Any

import pytest
import yaml

from tests.observability.promtool import PROMETHEUS, ROOT, RULES, Promtool
from workbench.project import NAME

CONFIGURATION = PROMETHEUS / "prometheus.yml"
MOUNTED = "/etc/prometheus"


@pytest.fixture
def configuration() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
    return found


def test_it_is_valid(
    configuration: dict[str, Any], promtool: Promtool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without the discovery by Kubernetes, which Debian's promtool does not support; the next test covers it."""
    folder = tmp_path_factory.mktemp("configuration")
    for job in configuration["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = [{"targets": ["discovered:1"]}]
        if "authorization" in job:
            token = folder / "token"
            token.touch()
            job["authorization"]["credentials_file"] = str(token)
    configuration["rule_files"] = [str(file) for file in RULES]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))

    assert f"{len(RULES)} rule files found" in promtool("check", "config", file)


def test_it_discovers_pods_only_where_its_roles_allow_it(configuration: dict[str, Any]) -> None:
    """Its Roles are in two namespaces. Discovery in another one would fail, with a message only in the log."""
    discovery = {job["job_name"]: job.get("kubernetes_sd_configs") for job in configuration["scrape_configs"]}
    roles = [yaml.safe_load(file.read_text()) for file in PROMETHEUS.glob("role-*.yaml")]

    [pods] = discovery["pods"]
    assert pods == {"role": "pod", "namespaces": {"names": [NAME, "istio-system"]}}
    assert {role["metadata"]["namespace"] for role in roles} == {*pods["namespaces"]["names"]}
    assert [role["rules"] for role in roles] == 2 * [
        [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    ]
    assert discovery["kubelet"] == [{"role": "node"}]
    assert discovery["prometheus"] is None


def test_it_reads_the_files_that_are_mounted(configuration: dict[str, Any]) -> None:
    [container] = yaml.safe_load((PROMETHEUS / "statefulset.yaml").read_text())["spec"]["template"]["spec"][
        "containers"
    ]
    kustomization = yaml.safe_load((PROMETHEUS / "kustomization.yaml").read_text())
    generated = {generator["name"]: generator["files"] for generator in kustomization["configMapGenerator"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}

    assert generated["prometheus-config"] == [CONFIGURATION.name]
    assert f"--config.file={MOUNTED}/{CONFIGURATION.name}" in container["args"]
    assert "--config.auto-reload" in container["args"]
    assert mounts["config"] == MOUNTED
    assert generated["prometheus-rules"] == [f"rules/{file.name}" for file in RULES]
    assert configuration["rule_files"] == [f"{mounts['rules']}/*.yaml"]
    assert f"--storage.tsdb.path={mounts['data']}" in container["args"]


def test_the_expiry_of_the_gateways_certificates_has_one_name(configuration: dict[str, Any]) -> None:
    """From Envoy's names, as of Envoy 1.40: each proxy has its own certificate too, which is renewed twice a day."""
    gateway, sidecar = (
        f"listener.0.0.0.0_{port}.ssl.certificate.{certificate}.expiration_unix_time_seconds"
        for port, certificate in ((8443, "kubernetes://shop-tls"), (15006, "default"))
    )
    [install] = yaml.safe_load_all((ROOT / "k8s" / "istio" / "install.yaml").read_text())
    kept = install["spec"]["meshConfig"]["defaultConfig"]["proxyStatsMatcher"]["inclusionRegexps"]
    assert any(re.fullmatch(pattern, gateway) for pattern in kept)
    assert not any(re.fullmatch(pattern, sidecar) for pattern in kept)

    labels = {"__name__": "envoy_listener_ssl_certificate_kubernetes___shop_tls_expiration_unix_time_seconds"}
    for step in configuration["scrape_configs"][0]["metric_relabel_configs"]:
        [source] = step["source_labels"]
        if found := re.fullmatch(step["regex"], labels[source]):
            labels[step["target_label"]] = found.expand(re.sub(r"\$(\d)", r"\\\1", step.get("replacement", "$1")))

    assert labels == {
        "__name__": "envoy_listener_ssl_certificate_expiration_unix_time_seconds",
        "certificate": "shop_tls",
    }
