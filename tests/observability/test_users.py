"""What the gateway counts if there are users, and what nobody logs."""

import re

import httpx
import pytest

from tests.observability.conftest import Observed
from tests.observability.traffic import sending
from tests.probe.collection import THINGS
from tests.workbench.ingress.tokens import token
from workbench.ingress.statistics import PATH

# As the dashboard and Istio call it.
INVALID = "envoy_http_jwt_authn_denied{.*}"
NOT_ALLOWED = 'envoy_http_rbac{.*authz_enforce_result="denied".*}'


async def counted(observed: Observed) -> dict[str, int]:
    async with httpx.AsyncClient(base_url=f"http://localhost:{observed.stack.envoy.stats_port}") as client:
        text = (await client.get(PATH)).text
    found = {metric: re.findall(rf"^{metric} (\d+)$", text, re.MULTILINE) for metric in (INVALID, NOT_ALLOWED)}
    return {metric: int(value) for metric, [value] in found.items()}


@pytest.mark.parametrize(
    ("authorization", "status", "reason"),
    [
        (f"Bearer {token(exp=1)}", 401, INVALID),
        (f"Bearer {token(aud='other')}", 401, INVALID),
        ("no token", 401, NOT_ALLOWED),
        (f"Bearer {token(sub='')}", 403, NOT_ALLOWED),
        (f"Bearer {token()}", 200, None),
    ],
    ids=["expired", "of another audience", "none", "of no user", "valid"],
)
async def test_refusals_are_counted_by_their_reason(
    observed: Observed, authorization: str, status: int, reason: str | None
) -> None:
    before = await counted(observed)

    response = await observed.client.get(THINGS.path, auth=sending(authorization))

    assert response.status_code == status
    after = await counted(observed)
    assert {metric: after[metric] - before[metric] for metric in after} == {
        metric: int(metric == reason) for metric in after
    }


async def test_no_token_is_in_a_log(observed: Observed) -> None:
    """Neither in that of the service, nor in what Envoy says."""
    valid, expired = token(), token(exp=1)
    for sent in (expired, valid):
        query = {"access_token": sent}
        response = await observed.client.get(THINGS.path, params=query, auth=sending(f"Bearer {sent}"))

    await observed.access_line(response.headers["x-request-id"])
    text = observed.log.read_text()
    assert [part for part in (*valid.split("."), *expired.split(".")) if part in text] == []
