"""The operations that /openapi.json describes. Compares responses with their descriptions."""

import re
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs

_OF_ANY = frozenset({400, 412, 429, 503, 504})  # of the ingress, of overload, and 412 for conditions


class Contract:
    """An OpenAPI document. It may describe no operation at all."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.operations: dict[tuple[str, str], dict[str, Any]] = {
            (method, path): operation
            for path, item in document["paths"].items()
            for method, operation in item.items()
        }
        """By method in lower case, and path."""
        self._paths = [
            (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))), template)
            for template in sorted(document["paths"], key=lambda template: "{" in template)  # /things/export first
        ]

    @property
    def paths(self) -> list[str]:
        """The paths without parameters."""
        return [path for path in self.document["paths"] if "{" not in path]

    @property
    def readable(self) -> list[str]:
        """The paths without parameters that can be read with GET. An answer may be a stream that never ends."""
        return [path for path in self.paths if ("get", path) in self.operations]

    def some_path(self, template: str) -> str:
        """A path of this template, with an id that nothing has."""
        return re.sub(r"{\w+}", str(uuid4()), template)

    @property
    def has_users(self) -> bool:
        return "securitySchemes" in self.document["components"]

    def needs_user(self, method: str, path: str) -> bool:
        return "security" in self.operations[method, path]

    def of_any(self, method: str, path: str) -> frozenset[int]:
        """The error statuses that the operation may answer like every other one."""
        to_users = {403} if self.needs_user(method, path) else set()
        return _OF_ANY | to_users | ({401} if self.has_users else set())  # 401 also for a token that is not valid

    def problems(self, method: str, path: str) -> dict[int, dict[str, Any]]:
        """The error responses of an operation by status."""
        responses = self.operations[method, path]["responses"]
        return {int(status): response for status, response in responses.items() if int(status) >= 400}

    def request_headers(self, method: str, path: str) -> set[str]:
        """The names of the request headers of an operation."""
        parameters = self.operations[method, path]["parameters"]
        return {parameter["name"] for parameter in parameters if parameter["in"] == "header"}

    def parse(self, path: str) -> tuple[str, dict[str, str]]:
        """The template of a path, and its parameters."""
        matches = ((template, pattern.fullmatch(path)) for pattern, template in self._paths)
        return next((template, found.groupdict()) for template, found in matches if found)

    def check(self, response: httpx.Response) -> None:
        """Fails if the response is not described, or differs from its description."""
        method = response.request.method.lower()
        template, _ = self.parse(response.request.url.path)
        described = self.document["paths"][template][method]["responses"]
        status = str(response.status_code)
        assert status in described, f"{method} {template} does not describe {status}"

        content = described[status].get("content")
        if content is None:
            assert not response.content
            return
        media_type = response.headers["content-type"].partition(";")[0]
        assert media_type in content, f"{method} {template} does not describe {status} with {media_type}"
        if media_type.endswith("json"):
            schema = content[media_type]["schema"] | {"components": self.document["components"]}
            jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(response.json())
