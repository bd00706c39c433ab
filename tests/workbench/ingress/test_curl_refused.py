"""The 429 for clients whose User-Agent is exactly `curl`."""

from tests.workbench.ingress.gateway import StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import StubReplica


async def test_exactly_curl_is_throttled(start_gateway: StartGateway) -> None:
    replica = StubReplica()
    gateway = await start_gateway(replica)

    for method, path in (("GET", "/"), ("HEAD", "/things"), ("POST", "/things"), ("GET", "/things/events")):
        response = await gateway.client.request(method, path, headers={"user-agent": "curl"})
        assert response.status_code == 429
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["retry-after"] == "60"
        if method != "HEAD":
            assert_problem(response, 429)
            assert response.json()["title"] == "Too Many Requests"
            assert "User-Agent" in response.json()["detail"]

    assert not replica.received


async def test_any_other_user_agent_passes(start_gateway: StartGateway) -> None:
    replica = StubReplica()
    gateway = await start_gateway(replica)

    for agent in ("curl/8.5.0", "Curl", "curl, other", ""):
        assert (await gateway.client.get("/", headers={"user-agent": agent})).status_code == 200
    without = gateway.client.build_request("GET", "/")
    del without.headers["user-agent"]
    assert (await gateway.client.send(without)).status_code == 200

    assert "user-agent" not in replica.received[-1].headers
