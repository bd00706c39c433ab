"""The supervisor's own answers, while nothing serves."""

import asyncio
import socket
from contextlib import ExitStack

from workbench.reload.fallback_responder import FallbackResponder


def test_the_supervisor_may_end_while_a_client_is_connected() -> None:
    problems = list[object]()

    async def answer(api: socket.socket, ops: socket.socket, passed_on: socket.socket) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        responder = FallbackResponder(api, ops, passed_on, str)
        await responder.start()
        silent.connect(api.getsockname())
        asking.connect(api.getsockname())
        asking.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert (await asyncio.to_thread(asking.recv, 100)).startswith(b"HTTP/1.1 503 ")  # so both were accepted
        responder.stop()

    with ExitStack() as stack:
        api, ops = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        ends = [stack.enter_context(end) for end in socket.socketpair()]
        silent, asking = (stack.enter_context(socket.socket()) for _ in range(2))
        asyncio.run(answer(api, ops, ends[0]))
    assert problems == []
