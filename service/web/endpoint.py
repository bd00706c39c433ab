"""Routes that read a request without Quart's context of one: declared and described as any, several times cheaper.

Quart makes two tasks, a Request, two contexts and a Response for each request, and passes the answer on in three
parts. None of that is needed to answer JSON. What is declared here is a view function of Quart's router and of
quart-schema's description; `service/web/dispatch.py` finds it there and calls it with what it has asked for:

    @blueprint.put("/<uuid:note_id>")
    @endpoint("notes", headers=ChangeHeaders, content=NoteContent, answer=Note)
    async def replace(notes: Notes, note_id: UUID, headers: ChangeHeaders, content: NoteContent) -> Answer: ...

Quart's before_request and after_request functions are not called for it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs

from hypercorn.typing import HTTPScope
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from quart_schema import document_headers, document_querystring, document_request, document_response
from quart_schema.typing import Model

from service.errors import Invalid, UnsupportedMediaType, in_headers, wrong_fields
from service.web.answer import Answer
from service.web.openapi import NoQuery

_ENDPOINT = "_service_endpoint"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a view function asks for: its part of the application by name, and the models of what it reads."""

    view: Callable[..., Awaitable[Answer]]
    needs: str
    query: type[BaseModel]
    headers: type[BaseModel] | None
    header_fields: dict[bytes, str]
    content: type[BaseModel] | None
    clients_only: bool
    """Whether a browser, which prefers HTML, gets what Quart's view function answers."""

    def read(self, scope: HTTPScope, body: bytes) -> dict[str, Any]:
        """The arguments from the request. Raises Invalid and UnsupportedMediaType."""
        arguments: dict[str, Any] = {}
        if self.query is not NoQuery:
            arguments["query"] = _validated(self.query, _parameters(scope["query_string"]))
        elif scope["query_string"]:
            _validated(NoQuery, _parameters(scope["query_string"]))
        if self.headers is not None:
            arguments["headers"] = self._read_headers(self.headers, scope)
        if self.content is not None:
            arguments["content"] = _validated(self.content, read_json(scope, body))
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
            raise Invalid(in_headers(wrong_fields(error))) from None


def endpoint(
    needs: str,
    *,
    answer: type[BaseModel] | None = None,
    status: int = 200,
    query: type[BaseModel] = NoQuery,
    headers: type[BaseModel] | None = None,
    content: type[BaseModel] | None = None,
    clients: Callable[..., Awaitable[Answer]] | None = None,
) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Any]]:
    """Make a view function an endpoint, and describe it: `answer` is the model of its answer with `status`.

    It is called with `app.extensions[needs]`, the parameters of its path, and `query`, `headers` and `content` if
    their models are given. With `clients`, that is the endpoint, and the view function is Quart's, for browsers.
    """

    def decorator(view: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        document_querystring(cast(Model, query))(view)
        if headers is not None:
            document_headers(cast(Model, headers))(view)
        if content is not None:
            document_request(cast(Model, content))(view)
        if answer is not None:
            document_response(cast(Model, answer), status)(view)
        names = {name.replace("_", "-").encode(): name for name in headers.model_fields} if headers else {}
        made = Endpoint(clients or view, needs, query, headers, names, content, clients_only=clients is not None)
        setattr(view, _ENDPOINT, made)
        return view

    return decorator


def endpoint_of(view: Callable[..., Any]) -> Endpoint | None:
    """The endpoint that a view function is, if it is one."""
    return getattr(view, _ENDPOINT, None)


def read_json(scope: HTTPScope, body: bytes) -> Any:
    """The body's JSON. Raises UnsupportedMediaType, and Invalid for what is no JSON in UTF-8."""
    require_media_type(scope, "application/json")
    try:
        # Unlike Python's: rejects NaN and lone surrogates, and deep nesting without a RecursionError.
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Invalid.field("body", f"not valid JSON: {error}") from None


def require_media_type(scope: HTTPScope, expected: str) -> None:
    """Raises UnsupportedMediaType unless the body is declared as `expected`, not compressed."""
    given, encoding = "", "identity"
    for name, value in scope["headers"]:
        if name == b"content-type":
            given = value.decode("latin-1").partition(";")[0].strip().lower()
        elif name == b"content-encoding":
            encoding = value.decode("latin-1")
    if given != expected:
        raise UnsupportedMediaType(
            f"The Content-Type must be {expected}, {f'not {given}' if given else 'and says nothing'}."
        )
    if encoding.lower() != "identity":
        raise UnsupportedMediaType(f"Content-Encoding {encoding} is not supported. Send the body uncompressed.")


def _parameters(query_string: bytes) -> dict[str, str | list[str]]:
    """A parameter that is given more than once is a list, which no model takes for a value."""
    if not query_string:
        return {}
    given = parse_qs(query_string.decode(errors="replace"), keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in given.items()}


def _validated(model: type[BaseModel], value: Any) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid(wrong_fields(error)) from None
