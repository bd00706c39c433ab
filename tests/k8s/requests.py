"""Prints the table of docs/production.md: what the pods of production request, each with its sidecar."""

from typing import NamedTuple

from tests.k8s.conftest import with_every_component
from tests.k8s.kustomization import build
from tests.k8s.objects import of_kind, pod_template
from tests.k8s.project import PRODUCTION, Object, istio_install
from tests.k8s.test_capacity import least_replicas, production_install, quantity, requests
from workbench.project import NAME

HEAD = """\
| pods | at first | CPU of each | memory of each | CPU together | memory together | volumes |
|---|---|---|---|---|---|---|
"""


class Asked(NamedTuple):
    name: str
    pods: int
    cpu: float
    """Of one pod with its sidecar, in cores."""
    memory: float
    """Of one pod with its sidecar, in bytes."""
    storage: float
    """Of the volumes of one pod, in bytes."""

    def row(self, remark: str = "") -> str:
        size = f"{self.storage / 2**30:g} GiB" if self.storage >= 2**30 else f"{self.storage / 2**20:g} MiB"
        volumes = f"{self.pods} x {size}" if self.storage else ""
        return (
            f"| {self.name}{remark} | {self.pods} | {self.cpu:.2f} | {self.memory / 2**20:.0f} MiB | "
            f"{self.pods * self.cpu:.2f} | {self.pods * self.memory / 2**20:.0f} MiB | {volumes} |\n"
        )


def asked(item: Object, objects: list[Object]) -> Asked | None:
    """What the pods of an object request for as long as it exists; None if it has none, or only jobs."""
    template = pod_template(item)
    if template is None or item["kind"] in {"CronJob", "Job"}:
        return None
    cpu, memory = requests(item, "cpu"), requests(item, "memory")
    # The plugin adds a container to each instance.
    for store in of_kind(objects, "ObjectStore") if "plugins" in item["spec"] else ():
        archiver = store["spec"]["instanceSidecarConfiguration"]["resources"]["requests"]
        cpu, memory = cpu + quantity(archiver["cpu"]), memory + quantity(archiver["memory"])
    if in_the_mesh(item, template, objects):
        sidecar = istio_install()["values"]["global"]["proxy"]["resources"]["requests"]
        cpu, memory = cpu + quantity(sidecar["cpu"]), memory + quantity(sidecar["memory"])
    spec = item["spec"]
    claims = [claim["spec"] for claim in spec.get("volumeClaimTemplates", [])]
    sizes = [claim["resources"]["requests"]["storage"] for claim in claims]
    sizes += [spec[part]["size"] for part in ("storage", "walStorage") if part in spec]
    labels = template["metadata"]["labels"]
    is_service = labels.get("app.kubernetes.io/component") == "service"
    name = labels["app.kubernetes.io/name"]
    if is_service:  # or service-canary
        name = "service" + item["metadata"]["name"].removeprefix(NAME)
    if item["kind"] == "Pooler":  # whose pods have the operator's name
        name = item["metadata"]["name"]
    return Asked(name, least_replicas(objects, item), cpu, memory, sum(map(quantity, sizes)))


def in_the_mesh(item: Object, template: Object, objects: list[Object]) -> bool:
    namespace = item["metadata"]["namespace"]
    [labels] = [
        each["metadata"]["labels"] for each in of_kind(objects, "Namespace") if each["metadata"]["name"] == namespace
    ]
    wanted = template["metadata"]["labels"].get("sidecar.istio.io/inject", "true") == "true"
    return bool(labels.get("istio-injection") == "enabled" and wanted)


def istio() -> list[Asked]:
    install = production_install()
    [gateway] = install["components"]["ingressGateways"]
    parts = {"istiod": install["components"]["pilot"], "istio-ingressgateway": gateway}
    least_of = {
        "istiod": install["values"]["pilot"],
        "istio-ingressgateway": install["values"]["gateways"]["istio-ingressgateway"],
    }
    found = []
    for name, part in parts.items():
        each = part["k8s"]["resources"]["requests"]
        found.append(Asked(name, least_of[name]["autoscaleMin"], quantity(each["cpu"]), quantity(each["memory"]), 0))
    return found


def table_of(production: list[Object], every_component: list[Object]) -> str:
    """The table as it has to be."""
    own = [found for item in production if (found := asked(item, production))]
    there = [*istio(), *own]
    known = {found.name for found in own}
    more = [found for item in every_component if (found := asked(item, every_component)) and found.name not in known]
    rows = [found.row() for found in sorted(there)] + [found.row(", not listed") for found in sorted(more)]
    pods = sum(found.pods for found in there)
    cpu = sum(found.pods * found.cpu for found in there)
    memory = sum(found.pods * found.memory for found in there) / 2**30
    storage = sum(found.pods * found.storage for found in there) / 2**30
    total = f"| **listed, together** | {pods} | | | **{cpu:.2f}** | **{memory:.1f} GiB** | **{storage:.1f} GiB** |\n"
    return HEAD + "".join(rows) + total


if __name__ == "__main__":
    print(table_of(build(PRODUCTION), with_every_component()), end="")
