"""The decorator that declares a route: what it reads, what it answers, and what kind of request it is.

    @routes.put("/<uuid:thing_id>")
    @endpoint(headers=Conditions, content=ThingContent, answer=Thing, errors=(404,))
    async def replace(thing_id: UUID, headers: Conditions, content: ThingContent) -> Answer: ...

Quart's router and quart-schema see an ordinary view function, but web/dispatch.py calls it. This is several times
cheaper, because Quart makes two tasks, a Request, two contexts and a Response for each request that it calls itself.

These features of Quart have no effect on an endpoint: functions registered with before_request and after_request are
not called, and `request`, `g`, `current_app` and the extensions that use them are not available. Instead, an endpoint
declares what it reads, and uses the arguments of the factory that makes its blueprint. What every request needs is an
ASGI layer in app.py.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qs

from hypercorn.typing import ASGIReceiveCallable, HTTPScope
from pydantic import BaseModel, ConfigDict, ValidationError
from quart_schema import document_headers, document_querystring, document_request, document_response
from quart_schema.typing import Model

from service.errors import FieldError, Invalid
from service.web.answer import Answer
from service.web.body import parse_json, read_chunks, read_whole, require_media_type
from service.web.deadline import Deadline
from service.web.problem import wrong_fields

_ENDPOINT = "_service_endpoint"
_OWNED = "_service_owned"

View: TypeAlias = Callable[..., Awaitable[Answer | AsyncGenerator[bytes]]]
Route: TypeAlias = Callable[..., Any]


class Kind(StrEnum):
    """What a request occupies while it runs. Admission counts each kind separately."""

    REQUEST = "request"
    EVENTS = "events"  # lasts for hours, without a connection of the pool
    BULK = "bulk"  # a streamed upload or download, with a connection of the pool


class NoQuery(BaseModel):
    """The query of a route without parameters. Any parameter is an error, so that a typo does not go unnoticed."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Media:
    """A streamed body: its media type, and its description in `/openapi.json`."""

    type: str
    description: str


@dataclass(frozen=True, slots=True)
class Upload(Media):
    """A streamed request body of any length that has to end within `timeout` seconds."""

    timeout: float


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """The limits of request bodies: `max_body` in bytes, `idle_timeout` (of an upload) in seconds."""

    max_body: int
    idle_timeout: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A declared route."""

    view: View
    kind: Kind
    query: type[BaseModel]
    headers: type[BaseModel] | None
    header_fields: dict[bytes, str]
    """The field of `headers` by the header's name."""
    content: type[BaseModel] | None
    if_too_large: str
    """What a client should do about a 413: the last sentence of its text."""
    upload: Upload | None
    stream: Media | None
    errors: Sequence[int]
    """The statuses of its problems, besides those that every route may answer."""
    versioned: bool
    """Whether the view itself answers If-Match and If-None-Match, because its `headers` have them."""
    clients_only: bool
    """Whether browsers, which prefer HTML, get the answer of a view function that Quart calls."""
    polled: bool
    """Whether the page polls it. Polls are logged at debug level."""

    async def read(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, deadline: Deadline, limits: ReadLimits
    ) -> dict[str, Any]:
        """The view's arguments that come from the request, by name. Raises a ServiceError if the request is wrong."""
        body = b""
        if self.content is not None:
            body = await read_whole(scope, receive, limits.max_body, self.if_too_large)
        if self.upload is None:
            deadline.body_is_read()
        arguments: dict[str, Any] = {}
        if self.query is not NoQuery:
            arguments["query"] = _validated(self.query, _parameters(scope["query_string"]))
        elif scope["query_string"]:
            _validated(NoQuery, _parameters(scope["query_string"]))
        if self.headers is not None:
            arguments["headers"] = self._read_headers(self.headers, scope)
        if self.content is not None:
            arguments["content"] = _validated(self.content, parse_json(scope, body))
        if self.upload is not None:
            require_media_type(scope, self.upload.type)
            arguments["body"] = read_chunks(receive, deadline, limits.idle_timeout, self.upload.timeout)
        return arguments

    def _read_headers(self, model: type[BaseModel], scope: HTTPScope) -> BaseModel:
        given: dict[str, str] = {}
        for name, value in scope["headers"]:
            if (field := self.header_fields.get(name)) is not None:
                text = value.decode("latin-1")
                given[field] = f"{given[field]},{text}" if field in given else text  # RFC 9110, section 5.3
        try:
            return model.model_validate(given)
        except ValidationError as error:
            raise Invalid(_header_names(wrong_fields(error))) from None


def endpoint(
    *,
    kind: Kind = Kind.REQUEST,
    query: type[BaseModel] = NoQuery,
    headers: type[BaseModel] | None = None,
    content: type[BaseModel] | None = None,
    if_too_large: str = "Send less.",
    upload: Upload | None = None,
    answer: type[BaseModel] | None = None,
    status: int = 200,
    stream: Media | None = None,
    errors: Sequence[int] = (),
    for_clients: View | None = None,
    polled: bool = False,
) -> Callable[[Route], Route]:
    """Make a view function an endpoint, and describe it in `/openapi.json`.

    The view gets as keyword arguments: the parameters of its path; `query`, `headers` and `content` (JSON) if their
    models are given; and for an `upload` `body`, an asynchronous iterator of bytes. It returns an Answer, or for a
    `stream` an asynchronous generator of bytes, which is always closed; what the generator raises before its first
    chunk is answered like any other error. `answer` is the model of the Answer with `status`, for the description.

    `kind` is that of a stream; its path has to suit it, as web/streams.py says.

    With `for_clients`, that function is the endpoint, and Quart calls the decorated one to answer browsers.
    """

    def decorator(view: Route) -> Route:
        document_querystring(cast(Model, query))(view)
        if headers is not None:
            document_headers(cast(Model, headers))(view)
        if content is not None:
            document_request(cast(Model, content))(view)
        if answer is not None:
            document_response(cast(Model, answer), status)(view)
        made = Endpoint(
            view=for_clients or view,
            kind=kind,
            query=query,
            headers=headers,
            header_fields={n.replace("_", "-").encode(): n for n in headers.model_fields} if headers else {},
            content=content,
            if_too_large=if_too_large,
            upload=upload,
            stream=stream,
            errors=(412, 422, *errors, *((413, 415) if content or upload else ()), *((408,) if upload else ())),
            versioned=headers is not None and "if_match" in headers.model_fields,
            clients_only=for_clients is not None,
            polled=polled,
        )
        setattr(view, _ENDPOINT, made)
        return view

    return decorator


def endpoint_of(view: Callable[..., Any]) -> Endpoint | None:
    """The endpoint that a view function was made; None if it is an ordinary one."""
    return getattr(view, _ENDPOINT, None)


def own(view: Callable[..., Any]) -> None:
    """Declare that what the route reads and writes belongs to users."""
    setattr(view, _OWNED, True)


def is_owned(view: Callable[..., Any]) -> bool:
    return getattr(view, _OWNED, False)


def _parameters(query_string: bytes) -> dict[str, str | list[str]]:
    """The parameters by name. A repeated one becomes a list, which a model with plain values rejects."""
    if not query_string:
        return {}
    given = parse_qs(query_string.decode(errors="replace"), keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in given.items()}


def _validated(model: type[BaseModel], value: Any) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid(wrong_fields(error)) from None


def _header_names(fields: Sequence[FieldError]) -> list[FieldError]:
    return [{"field": wrong["field"].replace("_", "-"), "message": wrong["message"]} for wrong in fields]
