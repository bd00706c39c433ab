"""What a load can create, according to the OpenAPI description of a service."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from harness.tls import trusted


@dataclass(frozen=True, slots=True)
class Described:
    """A collection: a path whose POST takes JSON and answers 201."""

    path: str
    schema: Mapping[str, Any]
    """The JSON Schema of the body, without references to other parts of the description."""
    below: frozenset[str]
    """The names of the paths directly below it, such as `events`."""

    @property
    def text_field(self) -> str | None:
        """The field of the body if exactly one is required and any text will do; None otherwise."""
        match self.schema.get("required"):
            case [name]:
                field = self.schema["properties"][name]
                is_any_text = field.get("type") == "string" and not {"format", "enum"} & field.keys()
                return name if is_any_text else None
        return None


async def description(url: str) -> dict[str, Any]:
    """The description of the service at this URL. Raises httpx.HTTPError if it does not answer with one."""
    async with httpx.AsyncClient(base_url=url, timeout=10, verify=trusted(url)) as client:
        answer = await client.get("/openapi.json")
        answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def collections(document: Mapping[str, Any]) -> Iterator[Described]:
    """The collections of a service, in the order of its description."""
    for path, operations in document["paths"].items():
        post = operations.get("post", {})
        content = post.get("requestBody", {}).get("content", {}).get("application/json")
        if content and "201" in post["responses"] and "{" not in path:
            prefix = f"{path}/"
            below = frozenset(other.removeprefix(prefix) for other in document["paths"] if other.startswith(prefix))
            yield Described(path, resolved(content["schema"], document), below)


def resolved(part: Any, document: Mapping[str, Any], inside: frozenset[str] = frozenset()) -> Any:
    """A copy of a part of the description. A schema that contains itself becomes one that accepts anything there."""
    match part:
        case {"$ref": str(reference), **rest}:
            if reference in inside:
                return rest
            target: Any = document
            for name in reference.removeprefix("#/").split("/"):
                target = target[name]
            return {**resolved(target, document, inside | {reference}), **resolved(rest, document, inside)}
        case dict():
            return {name: resolved(value, document, inside) for name, value in part.items()}
        case list():
            return [resolved(value, document, inside) for value in part]
    return part
