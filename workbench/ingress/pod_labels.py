"""The labels of the service's pods, by which the subsets of a DestinationRule select some of them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from workbench.ingress.rule_files import load, validated


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Metadata(_Strict):
    labels: dict[str, str]


class _Template(_Strict):
    metadata: _Metadata


class _Spec(_Strict):
    template: _Template


class _Deployment(_Strict):
    spec: _Spec


class _Pairs(_Strict):
    pairs: dict[str, str]
    includeTemplates: bool = False  # noqa: N815 - the name of the field


class _Kustomization(_Strict):
    labels: list[_Pairs] = []


def pod_labels(directory: Path) -> dict[str, str]:
    """The labels that deployment.yaml and the kustomization.yaml beside it give to a pod.

    Raises IngressRuleError if they cannot be read.
    """
    deployment, kustomization = directory / "deployment.yaml", directory / "kustomization.yaml"
    labels = validated(deployment, load(deployment), _Deployment).spec.template.metadata.labels
    for added in validated(kustomization, load(kustomization), _Kustomization).labels:
        if added.includeTemplates:
            labels |= added.pairs
    return labels
