"""Calls the matched endpoint of a request and sends its answer within the deadline."""

import asyncio
from logging import getLogger
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from service import identity
from service.errors import ServiceError, Unauthorized, Unavailable
from service.lifecycle import Lifecycle
from service.settings import Settings
from service.web import conditions, error_page
from service.web.answer import Answer, Stream
from service.web.body import ClientLeft
from service.web.deadline import Deadline
from service.web.endpoint import Endpoint, ReadLimits
from service.web.error_handlers import router_error, service_error, unexpected_error
from service.web.error_page import accept_of
from service.web.routing import Match, match_of
from service.web.target import EVERYTHING
from service.web.websocket import Socket

logger = getLogger(__name__)

_NO_USER = Unauthorized("This belongs to users, and no user is known. Send a token in the Authorization header.")


class Dispatch:
    """The innermost ASGI layer. Quart, behind it, answers the pages and OPTIONS."""

    def __init__(self, app: Any, settings: Settings, lifecycle: Lifecycle) -> None:
        self._quart = app
        self._lifecycle = lifecycle
        self._has_users = settings.identity == "gateway"
        self._timeout = settings.request_timeout
        self._limits = ReadLimits(settings.max_body, settings.stream_idle_timeout)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Raises Unavailable at the deadline. If the client has disconnected, returns without an answer."""
        if scope["type"] != "http":
            await self._quart(scope, receive, send)
            return
        match = match_of(scope)
        acting = None
        if match.owned and (acting := identity.caller.get() if self._has_users else identity.EVERYONE) is None:
            await service_error(_NO_USER, accept_of(scope)).send(send)
            return
        identity.acting.set(acting)
        if match.socket is not None:
            await Socket(scope, receive, send).run(match.socket, match.arguments, self._lifecycle)
            return
        deadline = Deadline(receive, self._timeout)
        try:
            await self._answer(match, scope, receive, send, deadline)
        except asyncio.CancelledError:
            if not deadline.uncancel():
                raise
            if not deadline.client_left:
                raise Unavailable("The request took too long and was cancelled. Try again in a moment.") from None
        except ClientLeft:
            return
        finally:
            deadline.end()

    async def _answer(
        self, match: Match, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable, deadline: Deadline
    ) -> None:
        if scope["path"] == EVERYTHING:
            await Answer(204).send(send)
            return
        if match.error is not None:
            await router_error(match.error, accept_of(scope)).send(send)
            return
        endpoint = match.endpoint
        if endpoint is None or (endpoint.clients_only and error_page.preferred(accept_of(scope))):
            await self._quart(scope, receive, send)
            return
        answer = await self._call(endpoint, match, scope, receive, deadline)
        if isinstance(answer, Answer):
            await answer.send(send)
            return
        deadline.lift()
        try:
            await answer.send(send, self._limits.idle_timeout)
        except ServiceError as error:
            logger.warning("response cut: %s", error.detail)
        except Exception as error:
            logger.error("response cut: unexpected error", exc_info=error)
        finally:
            await answer.chunks.aclose()

    async def _call(
        self, endpoint: Endpoint, match: Match, scope: HTTPScope, receive: ASGIReceiveCallable, deadline: Deadline
    ) -> Answer | Stream:
        try:
            arguments = await endpoint.read(scope, receive, deadline, self._limits)
            if not endpoint.versioned and (unchanged := conditions.check(scope)):
                return unchanged
            answer = await endpoint.view(**match.arguments, **arguments)
            if isinstance(answer, Answer):
                return answer
            assert endpoint.stream is not None  # noqa: S101 - the views of other endpoints return an Answer
            stream = Stream(answer, endpoint.stream.type)
            if scope["method"] != "HEAD":  # which has no body, so its stream never starts
                await stream.begin()
            return stream
        except ServiceError as error:
            return service_error(error, accept_of(scope))
        except ClientLeft:
            raise
        except Exception as error:
            return unexpected_error(error, accept_of(scope))
