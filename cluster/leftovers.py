"""`python -m cluster.leftovers`: removes the objects that istiod created while it ran. `tilt down` runs it."""

from cluster.kubectl import get, kubectl, main

NAMESPACE = "istio-system"
GONE_WITHIN = "60s"

# ConfigMaps with the root certificate in each namespace, ConfigMaps of leader elections, and the Secret with its key.
IN_EVERY_NAMESPACE = ("istio-ca-root-cert", "istio-ca-crl")
ELECTIONS = ("istio-leader", "istio-namespace-controller-election", "istio-ip-autoallocate")
KEY = "istio-ca-secret"


def run() -> int:
    # A running istiod would create them again.
    kubectl("wait", "pod", "--selector=app=istiod", "--for=delete", f"--timeout={GONE_WITHIN}", namespace=NAMESPACE)
    for namespace in get("namespaces"):
        name = namespace["metadata"]["name"]
        kubectl("delete", "configmap", *IN_EVERY_NAMESPACE, "--ignore-not-found", namespace=name)
    kubectl("delete", "configmap", *ELECTIONS, "--ignore-not-found", namespace=NAMESPACE)
    kubectl("delete", "lease", "--all", namespace=NAMESPACE)
    kubectl("delete", "secret", KEY, "--ignore-not-found", namespace=NAMESPACE)
    return 0


if __name__ == "__main__":
    main(run, "leftovers")
