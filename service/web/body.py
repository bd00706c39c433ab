"""Reads the body of a request: as a whole, as JSON, or as a stream of chunks."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, HTTPScope
from pydantic_core import from_json

from service.errors import Invalid, RequestTimeout, TooLarge, UnsupportedMediaType
from service.web.deadline import Deadline


class ClientLeft(Exception):
    """The client disconnected before it had sent the whole request."""


async def read_whole(scope: HTTPScope, receive: ASGIReceiveCallable, limit: int, advice: str) -> bytes:
    """The body, of at most `limit` bytes. Raises TooLarge, whose text ends with `advice`, and ClientLeft."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit, advice)
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise ClientLeft
        body += event["body"]
        if len(body) > limit:
            raise _too_large(limit, advice)
        if not event["more_body"]:
            return bytes(body)


async def read_chunks(
    receive: ASGIReceiveCallable, deadline: Deadline, idle_timeout: float, timeout: float
) -> AsyncGenerator[bytes]:
    """The body, chunk by chunk: a chunk is received only when the consumer asks for it, which slows the sender down.

    The first chunk lifts the deadline of the request. Raises RequestTimeout if nothing arrives for `idle_timeout`
    seconds or if the body has not ended after `timeout` seconds; raises ClientLeft.
    """
    deadline.lift()
    end = asyncio.get_running_loop().time() + timeout
    more = True
    while more:
        try:
            async with asyncio.timeout_at(end), asyncio.timeout(idle_timeout):
                event = await receive()
        except TimeoutError:
            if asyncio.get_running_loop().time() >= end:
                late = f"The body took longer than {timeout:g} seconds. Split it into several requests."
                raise RequestTimeout(late) from None
            idle = f"No data of the body arrived for {idle_timeout:g} seconds. Send the request again."
            raise RequestTimeout(idle) from None
        if event["type"] != "http.request":
            raise ClientLeft
        more = event["more_body"]
        yield event["body"]
    deadline.body_is_read()


def parse_json(scope: HTTPScope, body: bytes) -> Any:
    """The value of a JSON body. Raises UnsupportedMediaType, and Invalid if it is not JSON in UTF-8."""
    require_media_type(scope, "application/json")
    try:
        # Unlike Python's parser, it rejects NaN, lone surrogates, and deep nesting without a RecursionError.
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Invalid.field("body", f"not valid JSON: {error}") from None


def require_media_type(scope: HTTPScope, expected: str) -> None:
    """Raises UnsupportedMediaType unless the Content-Type is `expected` and the body is not compressed."""
    given, encoding = "", "identity"
    for name, value in scope["headers"]:
        if name == b"content-type":
            given = value.decode("latin-1").partition(";")[0].strip().lower()
        elif name == b"content-encoding":
            encoding = value.decode("latin-1")
    if not given:
        raise UnsupportedMediaType(f"The Content-Type header is missing; send {expected}.")
    if given != expected:
        raise UnsupportedMediaType(f"The Content-Type is {given}; send {expected}.")
    if encoding.lower() != "identity":
        raise UnsupportedMediaType(f"Content-Encoding {encoding} is not supported. Send the body uncompressed.")


def _too_large(limit: int, advice: str) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes. {advice}")
