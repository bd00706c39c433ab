"""A server that stands in for the identity provider."""

from contextlib import AbstractAsyncContextManager

from tests.workbench.ingress.stub_replicas import Received, StubReplica
from tests.workbench.ingress.tokens import Key, key_set


class Provider:
    """Publishes its keys; without any, it answers 503."""

    def __init__(self, *keys: Key) -> None:
        self.keys = keys
        self._server = StubReplica(self._answer)

    def running(self) -> AbstractAsyncContextManager[StubReplica]:
        return self._server.running()

    @property
    def port(self) -> int:
        return self._server.upstream.api_port

    async def _answer(self, request: Received) -> None:
        if self.keys and request.target == "/auth/keys":
            await request.respond(200, key_set(*self.keys).encode())
        else:
            await request.respond(503)
