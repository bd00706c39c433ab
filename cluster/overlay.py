"""What `make status` says about mistakes in an overlay that kustomize builds and the API server accepts."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from cluster.kubectl import CONTEXT, LOCAL
from cluster.line import Line, Object, name_of

RULES = {
    "RequestAuthentication": "requestauthentications.security.istio.io",
    "AuthorizationPolicy": "authorizationpolicies.security.istio.io",
    "EnvoyFilter": "envoyfilters.networking.istio.io",
}
"""The kinds of the gateway's rules for users."""
OF_USERS = {"RequestAuthentication": "users", "AuthorizationPolicy": "users", "EnvoyFilter": "identity-headers"}
"""Those of k8s/components/identity without which the service cannot believe who a user is."""
FILES = {
    "gateway": "gateway.yaml",
    "certificate": "certificate.yaml",
    "objectstore": "objectstore.yaml",
    "requestauthentication": "identity-requestauthentication.yaml",
    "authorizationpolicy": "identity-authorizationpolicy.yaml",
    "deployment": "identity-service.yaml",
}
"""Of k8s/overlays/production, by the kind whose names each has, other than those of images."""

_EXAMPLE = re.compile(r'("image": ")?(?<![\w.*-])((?:[\w*-]+\.)*example\.com)(?![\w-]|\.\w)')


def with_examples(line: Line, item: Object) -> Line:
    """The line of an object. If the object has names of example.com, they are what is wrong, but not locally."""
    if CONTEXT == LOCAL:
        return line
    found = _EXAMPLE.findall(json.dumps(item["spec"]))
    files = {name: "kustomization.yaml" if image else FILES[line.kind] for image, name in found}
    errors = (f"{name} is only an example: write yours into k8s/overlays/production/{files[name]}" for name in files)
    return replace(line, error=", ".join(errors) or line.error)


def example_lines(found: list[Object]) -> Iterator[Line]:
    """A line for each object of the kinds of FILES that has names of example.com."""
    for item in found:
        if (kind := item["kind"].lower()) in FILES:
            line = with_examples(Line(kind, name_of(item), ""), item)
            if line.error:
                yield line


def believing_lines(found: list[Object], rules: list[Object]) -> Iterator[Line]:
    """A line for each Deployment that believes the gateway who a user is, while the gateway does not verify it."""
    there = {(item["kind"], item["metadata"]["name"]) for item in rules}
    missing = ", ".join(f"{kind} {name}" for kind, name in OF_USERS.items() if (kind, name) not in there)
    for item in found:
        if missing and item["kind"] == "Deployment" and _believes(item):
            yield Line(
                "deployment",
                name_of(item),
                "SERVICE_IDENTITY=gateway",
                f"anybody may name themselves any user, because the gateway has no {missing}: list the component "
                "identity in the overlay's kustomization.yaml, or remove its patches identity-*.yaml, and apply it",
            )


def _believes(deployment: Object) -> bool:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    variables = (variable for container in containers for variable in container.get("env", []))
    return {"name": "SERVICE_IDENTITY", "value": "gateway"} in variables
