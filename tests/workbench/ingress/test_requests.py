"""How requests reach the service."""

from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.peers import Peer


async def test_the_request_id_is_the_gateways(start_gateway: StartGateway) -> None:
    peer = Peer()
    gateway = await start_gateway(peer)

    for _ in range(2):
        await gateway.client.get("/", headers={"x-request-id": "made up by the client"})

    first, second = (request.headers["x-request-id"] for request in peer.received)
    assert len(first) == len(second) == 36
    assert first != second


async def test_paths_are_normalised_as_by_istio(start_gateway: StartGateway) -> None:
    peer = Peer()
    gateway = await start_gateway(peer)

    for sent in ("/a/../notes", "/a/%2e%2e/notes", "//notes//", "/a%2Fb"):
        await gateway.raw(f"GET {sent} HTTP/1.1\r\nhost: a\r\n\r\n".encode())

    assert [request.target for request in peer.received] == ["/notes", "/notes", "//notes//", "/a%2Fb"]
