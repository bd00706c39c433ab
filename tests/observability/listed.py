"""The metrics in metrics.yaml, which the workbench of these tests does not have."""

from pathlib import Path

import yaml

TARGET = {"job", "namespace", "instance"}
"""The labels that Prometheus adds to every series that it scrapes."""

CLUSTER = ("postgres_exporter", "istio", "istiod", "kubelet", "cloudnativepg", "alertmanager")
"""The parts of the file with metrics that only a cluster has."""

DOMAIN = "domains"
"""The part with metrics of the service's own domains. The tests here run the probe domain."""

_LISTS = yaml.safe_load(Path(__file__).with_name("metrics.yaml").read_text())


def listed(*parts: str) -> dict[str, set[str]]:
    """The metrics of these parts, with their labels."""
    known = {}
    for name, labels in (item for part in parts for item in _LISTS[part].items()):
        own = labels if isinstance(labels, list) else [*labels["common"], *labels["own"]]
        known[name] = {*own, *TARGET}
    return known
