"""The rate limits: of users, k8s/components/identity/envoyfilter-rate-limit-users.yaml, and without users, of keys.

They are so small here, and so seldom refilled, that the speed of the machine does not matter.
"""

import shutil
from pathlib import Path

import httpx
import pytest
import yaml

from tests.workbench.ingress.changed_rules import SetRules
from tests.workbench.ingress.decisions import bearer
from tests.workbench.ingress.gateway import Gateway, StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import StubReplica
from tests.workbench.ingress.test_identity import IDENTITY
from tests.workbench.ingress.tokens import EC, key_set, token

OF_KEYS, OF_USERS = "envoyfilter-rate-limit.yaml", "envoyfilter-rate-limit-users.yaml"
KEY, USERS, ANONYMOUS = 2, 3, 5
MOST = 10
"""More requests than any of these buckets has tokens."""


def bucket(tokens: int) -> dict[str, object]:
    return {"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": "3600s"}


@pytest.fixture
def rules(set_rules: SetRules) -> Path:
    descriptors = "spec.configPatches.*.patch.value.typed_config.descriptors"
    return set_rules((OF_KEYS, f"{descriptors}.*.token_bucket", bucket(KEY)))


@pytest.fixture
async def gateway(start_gateway: StartGateway, rules: Path, tmp_path: Path) -> Gateway:
    """With users."""
    component = Path(shutil.copytree(IDENTITY, tmp_path / "identity"))
    limits = yaml.safe_load((component / OF_USERS).read_text())
    descriptors = limits["spec"]["configPatches"][0]["patch"]["value"]["typed_config"]["descriptors"]
    for descriptor, most in zip(descriptors, (USERS, ANONYMOUS), strict=True):
        descriptor["token_bucket"] = bucket(most)
    (component / OF_USERS).write_text(yaml.safe_dump(limits))
    tokens = yaml.safe_load((component / "requestauthentication.yaml").read_text())
    [rule] = tokens["spec"]["jwtRules"]
    del rule["jwksUri"]
    rule["jwks"] = key_set(EC)
    (component / "requestauthentication.yaml").write_text(yaml.safe_dump(tokens))
    return await start_gateway(StubReplica(), rules=rules, components=[component])


async def passed(gateway: Gateway, user: str | None, *, target: str = "/", **headers: str) -> int:
    """How many requests are answered before one is refused with 429."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if user:
        sent |= [bearer(token(sub=user))]
    for number in range(MOST):
        numbered = {name: text.format(number) for name, text in sent.items()}
        response = await gateway.client.get(target, headers=numbered)
        assert "x-ratelimit-reset" in response.headers
        limit, remaining = (response.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining"))
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            assert_problem(response, 429)
            assert (response.headers["retry-after"], remaining) == ("1", "0")
            return number
        assert (response.status_code, int(remaining)) == (200, int(limit) - number - 1)
    raise AssertionError("none was refused")


async def test_each_user_has_a_bucket(gateway: Gateway) -> None:
    assert await passed(gateway, "ada", target="/things", x_api_key="{}") == USERS
    assert await passed(gateway, "ada", target="/other", x_api_key="another {}") == 0
    assert await passed(gateway, "grace", target="/things") == USERS
    assert await gateway.statistic("rate_limited", of="rate_limit.http_local_rate_limit") == 3


async def test_keys_do_not_count_if_there_are_users(gateway: Gateway) -> None:
    assert await passed(gateway, "ada", x_api_key="same") == USERS
    assert await passed(gateway, None, x_api_key="same") == ANONYMOUS


async def test_each_key_has_a_bucket_if_there_are_no_users(start_gateway: StartGateway, rules: Path) -> None:
    gateway = await start_gateway(StubReplica(), rules=rules)
    assert await passed(gateway, None, x_api_key="one") == KEY
    assert await passed(gateway, None, x_api_key="one", target="/other") == 0
    assert await passed(gateway, None, x_api_key="other", x_user="invented {}") == KEY
    assert (await gateway.client.get("/")).status_code == 200


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
