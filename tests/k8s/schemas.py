"""The schemas of Kubernetes, Istio and others, by which objects are checked."""

from copy import deepcopy
from typing import Any

import jsonschema
import yaml

from tests.k8s.project import LOADER, Object, cluster_file


def schemas_of(crds: str) -> dict[tuple[str, str], Object]:
    """The schema of each apiVersion and kind, from the text of CustomResourceDefinitions."""
    schemas = {}
    for item in yaml.load_all(crds, LOADER):
        if item and item["kind"] == "CustomResourceDefinition":
            spec = item["spec"]
            for version in spec["versions"]:
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                schemas[key] = closed(version["schema"]["openAPIV3Schema"])
    return schemas


def closed(schema: Any) -> Any:
    """The schema, with unknown fields as errors. The API server would drop them."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    known = "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields")
    if known and schema.get("type") == "object" and "additionalProperties" not in schema:
        result["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    return result


def kind_of(item: Object) -> tuple[str, str]:
    return item["apiVersion"], item["kind"]


def check_custom(item: Object, schemas: dict[tuple[str, str], Object]) -> None:
    """Raises jsonschema.ValidationError if an object of a custom kind is not valid."""
    schema = deepcopy(schemas[kind_of(item)])
    for name in ("apiVersion", "kind"):
        schema["properties"].setdefault(name, {"type": "string"})
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.validate(item, schema)


def kubernetes_version() -> str:
    image: str = cluster_file()[1]["k3d"]["v1alpha5Simple"]["image"]
    major, minor = image.removeprefix("rancher/k3s:v").split(".")[:2]
    return f"{major}.{minor}"
