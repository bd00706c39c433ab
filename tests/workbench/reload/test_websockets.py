"""A WebSocket route is added behind the ingress, and its WebSockets end with the process that has accepted them."""

import httpx

from tests.probe.project import MODULE
from tests.service.websockets import Client
from tests.workbench.reload.live import Live

_ROUTE = '    @routes.get("")\n'

WEBSOCKET = (
    MODULE,
    _ROUTE,
    f"""    from service.web.websocket import Socket

    @routes.websocket("/<uuid:thing_id>/live")
    async def live(socket: Socket, thing_id: UUID) -> None:
        await socket.accept()
        async for message in socket:
            await socket.send(f"{{thing_id.int}}: {{message}}")

{_ROUTE}""",
)
"""An edit that adds a WebSocket, which sends back what it gets."""

PATH = "/things/00000000-0000-0000-0000-000000000007/live"


async def test_a_websocket_is_added_and_changes_over_to_the_new_code(live: Live) -> None:
    url = httpx.URL(live.url)
    assert url.port
    ingress = (url.host, url.port)
    live.sources.edit(*WEBSOCKET)
    await live.reloads()
    added = live.sources.version

    async with Client.connect(ingress, PATH) as client:
        assert client.headers["x-service-version"] == added
        assert await client.ask("hello") == "7: hello"

        live.sources.append(MODULE, "\n# a WebSocket is open\n")
        await live.reloads()
        async with Client.connect(ingress, PATH) as another:
            assert another.headers["x-service-version"] == live.sources.version != added
            assert await client.closed() == 1012
            assert await another.ask("again") == "7: again"
