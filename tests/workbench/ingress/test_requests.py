"""What the gateway changes in a request."""

from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.stub_replicas import StubReplica


async def test_the_gateway_replaces_the_request_id(start_gateway: StartGateway) -> None:
    replica = StubReplica()
    gateway = await start_gateway(replica)

    for _ in range(2):
        await gateway.client.get("/", headers={"x-request-id": "chosen by the client"})

    first, second = (request.headers["x-request-id"] for request in replica.received)
    assert len(first) == len(second) == 36
    assert first != second


async def test_paths_are_normalised_as_by_istio(start_gateway: StartGateway) -> None:
    replica = StubReplica()
    gateway = await start_gateway(replica)

    for sent in ("/a/../things", "/a/%2e%2e/things", "//things//", "/a%2Fb"):
        await gateway.raw(f"GET {sent} HTTP/1.1\r\nhost: a\r\n\r\n".encode())

    assert [request.target for request in replica.received] == ["/things", "/things", "//things//", "/a%2Fb"]


async def test_a_replica_decides_whether_a_client_continues(start_gateway: StartGateway) -> None:
    replica = StubReplica()
    gateway = await start_gateway(replica)

    await gateway.client.post("/things/import", content=b"12", headers={"expect": "100-continue"})

    assert [(request.headers["expect"], request.body) for request in replica.received] == [("100-continue", b"12")]
