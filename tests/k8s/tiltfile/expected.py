"""The resources that the Tiltfile has to declare, and their order."""

# A cold start: what is on the left is there before what is on the right begins.
COLD_START = [
    ("namespaces", "secrets"),
    ("namespaces", "istio-crds"),
    ("istio-crds", "istio-base"),
    ("istio-base", "istiod"),
    ("istiod", "istio-ingressgateway"),
    ("istiod", "mesh-rules"),
    ("istio-ingressgateway", "slipway"),
    ("mesh-rules", "postgres"),
    ("secrets", "postgres"),
    ("postgres", "slipway"),
    ("slipway", "ingress-tests"),
]

# Each resource: its label, and what it waits for.
RESOURCES: dict[str, tuple[str, set[str]]] = {
    "namespaces": ("mesh", set()),
    "secrets": ("data", {"namespaces"}),
    "istio-crds": ("mesh", {"namespaces"}),
    "istio-base": ("mesh", {"namespaces", "istio-crds"}),
    "istiod": ("mesh", {"istio-base"}),
    "istiod-state": ("mesh", {"istiod"}),
    "istio-ingressgateway": ("mesh", {"istiod", "secrets"}),
    "mesh-rules": ("mesh", {"istiod"}),
    "postgres": ("data", {"secrets", "istiod", "mesh-rules"}),
    "postgres-backup": ("data", {"postgres"}),
    "slipway": ("app", {"postgres", "mesh-rules", "istio-ingressgateway"}),
    "prometheus": ("observability", {"namespaces"}),
    "jaeger": ("observability", {"namespaces"}),
    "grafana": ("observability", {"secrets", "prometheus", "jaeger"}),
    "postgres-exporter": ("observability", {"postgres"}),
    "ingress-tests": ("checks", {"slipway"}),
    "lint": ("checks", set()),
    "load": ("checks", set()),
}
