"""Compares responses with their descriptions in /openapi.json."""

import re
from typing import Any

import httpx
import jsonschema_rs


class Contract:
    """The responses that an OpenAPI document describes."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._paths = [
            (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))), template)
            for template in sorted(document["paths"], key=lambda template: "{" in template)  # /notes/export first
        ]

    def check(self, response: httpx.Response) -> None:
        """Fails if the response is not described, or differs from its description."""
        method, path = response.request.method.lower(), response.request.url.path
        template = next(template for pattern, template in self._paths if pattern.fullmatch(path))
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
