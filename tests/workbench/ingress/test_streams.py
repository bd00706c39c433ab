"""Which requests the gateway takes for streams. The tests of timeouts, bodies and limits show what follows."""

import pytest

from tests.workbench.ingress.gateway import Gateway, StartGateway
from tests.workbench.ingress.stub_replicas import StubReplica
from workbench.ingress.bootstrap import cluster_name


async def taken_for_a_stream(gateway: Gateway, method: str, target: str) -> bool:
    streams = f"cluster.{cluster_name('streams')}"
    before = await gateway.statistic("upstream_rq_total", streams)
    assert (await gateway.client.request(method, target)).status_code == 200
    return await gateway.statistic("upstream_rq_total", streams) > before


@pytest.mark.parametrize(("method", "word"), [("GET", "events"), ("GET", "export"), ("POST", "import")])
async def test_a_stream_is_known_by_its_method_and_the_last_part_of_its_path(
    start_gateway: StartGateway, method: str, word: str
) -> None:
    gateway = await start_gateway(StubReplica())
    of_bookings = f"/bookings/0198a0c4-0000-7000-8000-000000000000/charges/{word}"

    for path in (f"/{word}", f"/things/{word}", of_bookings, f"/things/{word}?next=/a"):
        assert await taken_for_a_stream(gateway, method, path), path
        assert not await taken_for_a_stream(gateway, "PUT", path), path
    others = (f"/{word}s", f"/my{word}", f"/things/{word}/1", f"/things/{word}/", f"/things?{word}=/{word}")
    for path in others:
        assert not await taken_for_a_stream(gateway, method, path), path


async def test_each_stream_has_a_connection_of_its_own(start_gateway: StartGateway) -> None:
    """A replica that stops ends its streams and closes their connections, which the next stream must not meet."""
    replica = StubReplica()
    gateway = await start_gateway(replica)

    for path in ("/things/events", "/things/export", "/things", "/things"):
        assert (await gateway.client.get(path)).status_code == 200

    events, export, *others = [request.writer.get_extra_info("peername") for request in replica.received]
    assert events != export
    assert others[0] == others[1]
