"""The rate limit of users, k8s/components/identity/envoyfilter-rate-limit-users.yaml."""

import shutil
from pathlib import Path

import httpx
import pytest
import yaml

from tests.workbench.ingress.decisions import bearer
from tests.workbench.ingress.gateway import Gateway, StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import StubReplica
from tests.workbench.ingress.test_identity import IDENTITY
from tests.workbench.ingress.tokens import EC, key_set, token

RATE_LIMIT = "envoyfilter-rate-limit-users.yaml"
USERS, ANONYMOUS = 3, 5


@pytest.fixture
async def gateway(start_gateway: StartGateway, tmp_path: Path) -> Gateway:
    """The limits are so small, and so seldom refilled, that the speed of the machine does not matter."""
    component = Path(shutil.copytree(IDENTITY, tmp_path / "identity"))
    limits = yaml.safe_load((component / RATE_LIMIT).read_text())
    descriptors = limits["spec"]["configPatches"][0]["patch"]["value"]["typed_config"]["descriptors"]
    for descriptor, most in zip(descriptors, (USERS, ANONYMOUS), strict=True):
        descriptor["token_bucket"] = {"max_tokens": most, "tokens_per_fill": most, "fill_interval": "3600s"}
    (component / RATE_LIMIT).write_text(yaml.safe_dump(limits))
    tokens = yaml.safe_load((component / "requestauthentication.yaml").read_text())
    [rule] = tokens["spec"]["jwtRules"]
    del rule["jwksUri"]
    rule["jwks"] = key_set(EC)
    (component / "requestauthentication.yaml").write_text(yaml.safe_dump(tokens))
    return await start_gateway(StubReplica(), components=[component])


async def passed(gateway: Gateway, user: str | None, *, target: str = "/", **headers: str) -> int:
    """How many requests are answered before one is refused with 429."""
    for number in range(USERS + ANONYMOUS + 1):
        sent = {name.replace("_", "-"): value.format(number) for name, value in headers.items()}
        response = await gateway.client.get(
            target, headers=[*sent.items(), *([bearer(token(sub=user))] if user else [])]
        )
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            assert_problem(response, 429)
            assert response.headers["retry-after"] == "1"
            return number
        assert response.status_code == 200
    raise AssertionError("none was refused")


async def test_each_user_has_a_bucket(gateway: Gateway) -> None:
    assert await passed(gateway, "ada", target="/things", x_api_key="{}") == USERS
    assert await passed(gateway, "ada", target="/other", x_api_key="another {}") == 0
    assert await passed(gateway, "grace", target="/things") == USERS


async def test_who_is_not_signed_in_shares_that_of_the_address(gateway: Gateway) -> None:
    assert await passed(gateway, None, x_user="invented {}", x_api_key="{}") == ANONYMOUS
    assert await passed(gateway, None, target="/docs") == 0
    assert await passed(gateway, "ada") == USERS


async def test_refused_tokens_use_up_nothing(gateway: Gateway) -> None:
    for _ in range(ANONYMOUS + 1):
        response = await gateway.client.get("/things", headers=[bearer(token(sub="ada", exp=1))])
        assert response.status_code == 401
    assert await passed(gateway, "ada") == USERS
    assert await passed(gateway, None) == ANONYMOUS
