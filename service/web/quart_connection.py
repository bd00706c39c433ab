"""One HTTP request that Quart answers itself: a page, or OPTIONS."""

import asyncio

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.asgi import ASGIHTTPConnection
from quart.utils import cancel_tasks


class QuartConnection(ASGIHTTPConnection):
    """Cancels its tasks with the request; Quart's own class would leave the handler running."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = self._create_request_from_scope(send)
        handler = asyncio.create_task(self.handle_request(request, send))
        receiver = asyncio.create_task(self.handle_messages(request, receive))
        try:
            await asyncio.wait({handler, receiver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_tasks({handler, receiver})
