"""The decisions of the gateway of a cluster with k8s/components/identity are those of the workbench.

IDENTITY_GATEWAY is its URL. While these tests run, the gateway accepts their tokens and no others, so nobody who has
signed in reaches the service. Requests for a host of their own go to a pod that tells what it gets (echo.py). At the
end all is as before; if these tests are killed, `tilt trigger users` puts the keys of the provider back.
"""

import json
import os
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

import pytest

from cluster.kubectl import REPLICAS, apply, get, kubectl
from cluster.status import GATEWAY_NAMESPACE
from tests.cluster.identity.echo import ECHO, HOST, manifests
from tests.waiting import eventually
from tests.workbench.ingress.decisions import Address, Request, bearer, decision, decisions
from tests.workbench.ingress.identity_requests import EXPECTED, TABLE
from tests.workbench.ingress.tokens import EC, RSA, key_set, token

READY_WITHIN = "120s"


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    url = urlsplit(os.environ["IDENTITY_GATEWAY"])
    assert url.hostname
    address = Address(url.port or 80, url.hostname, HOST)
    [users] = get("requestauthentications", "--field-selector=metadata.name=users", namespace=GATEWAY_NAMESPACE)
    objects = manifests(get("pods", REPLICAS)[0]["spec"]["containers"][0]["image"])

    async def accepts() -> bool:
        return isinstance(await decision(address, Request("", 200, headers=[bearer(token())])), tuple)

    async def refuses() -> bool:
        return not await accepts()

    try:
        apply(*objects)
        kubectl("wait", f"pod/{ECHO}", "--for=condition=Ready", f"--timeout={READY_WITHIN}")
        _set_rules([_with_keys(rule) for rule in users["spec"]["jwtRules"]])
        await eventually(accepts, "the gateway has the keys of the tests, and the route to the echo")
        yield address
    finally:
        _set_rules(users["spec"]["jwtRules"])
        for item in objects:
            kubectl(
                "delete",
                item["kind"],
                ECHO,
                "--ignore-not-found",
                namespace=item["metadata"]["namespace"],
                check=False,
            )
    await eventually(refuses, "the gateway has the keys of its provider again")


def _with_keys(rule: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(rule)
    changed.pop("jwksUri", None)
    return changed | {"jwks": key_set(EC, RSA)}


def _set_rules(rules: list[dict[str, Any]]) -> None:
    change = json.dumps({"spec": {"jwtRules": rules}})
    kubectl(
        "patch", "requestauthentication", "users", "--type=merge", f"--patch={change}", namespace=GATEWAY_NAMESPACE
    )


async def test_the_decisions_of_the_gateway(address: Address) -> None:
    assert await decisions(address, TABLE) == EXPECTED
