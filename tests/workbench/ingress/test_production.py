"""What only production has of the ingress's rules, in a real Envoy."""

from typing import Any

import yaml

from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.stub_replicas import StubReplica
from workbench.machine.folders import INGRESS_RULES

STRICT = INGRESS_RULES.parent / "overlays" / "production" / "envoyfilter-strict-transport-security.yaml"


def with_strict_transport_security(bootstrap: dict[str, Any]) -> None:
    """Inserts the filter as Istio does at the port of TLS. The workbench has only the other port."""
    [patch] = yaml.safe_load(STRICT.read_text())["spec"]["configPatches"]
    assert patch["patch"]["operation"] == "INSERT_FIRST"
    [chain] = bootstrap["static_resources"]["listeners"][0]["filter_chains"]
    [manager] = chain["filters"]
    manager["typed_config"]["http_filters"].insert(0, patch["patch"]["value"])


async def test_all_answers_tell_browsers_to_stay_with_tls(start_gateway: StartGateway) -> None:
    replica = StubReplica()
    gateway = await start_gateway(replica, change=with_strict_transport_security)

    answers = {
        "of a replica": await gateway.client.get("/things"),
        "of a route": await gateway.client.get("/things", headers={"user-agent": "curl"}),
        "of a filter": await gateway.client.post("/things", content=b"x" * 400_000),
    }

    assert [answer.status_code for answer in answers.values()] == [200, 429, 413]
    for what, answer in answers.items():
        assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"], what


async def test_so_does_the_answer_without_a_replica(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica(ready=503), wait=False, change=with_strict_transport_security)

    answer = await gateway.client.get("/things")

    assert answer.status_code == 503
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
