"""Members of every collection of the API, made from nothing but its description."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from harness.openapi import resolved
from tests.ingress.contract import Contract

_PARAMETER = re.compile(r"{(\w+)}")
_JSON = "application/json"


@dataclass(frozen=True)
class Members:
    """Those that one user makes."""

    contract: Contract
    client: httpx.AsyncClient
    ids: dict[str, str] = field(default_factory=dict)
    """The newest id by the name of the parameter that stands for it in paths."""
    made: dict[str, httpx.Response] = field(default_factory=dict)
    """The answers to the POSTs, by the paths of the members."""

    @property
    def collections(self) -> list[str]:
        """The templates of the paths whose POST creates a member."""
        return [path for method, path in self.contract.operations if self._creates(method, path)]

    def path(self, template: str) -> str | None:
        """The path of this template with the newest ids; None if no POST has made one of them."""
        if not self.ids.keys() >= set(_PARAMETER.findall(template)):
            return None
        return _PARAMETER.sub(lambda found: self.ids[found[1]], template)

    async def make(self) -> None:
        """One of each collection: those that have others in their paths come after these."""
        left = self.collections
        while ready := [template for template in left if self.path(template)]:
            for template in ready:
                await self.post(template)
                left.remove(template)

    async def post(self, template: str, content: bytes | None = None, key: str | None = None) -> httpx.Response:
        """A new member, with the content that another request had or with one of its own."""
        request = self.request("post", template)
        if content is not None:
            request = {"content": content, "headers": {"content-type": _JSON}}
        if key is not None:
            request["headers"]["idempotency-key"] = key
        path = self.path(template)
        assert path, f"nothing has made what {template} is below"
        response = await self.client.post(path, **request)
        assert response.status_code == 201, (
            f"POST {path} with what its description gives as examples: {response.status_code} {response.text}\n"
            "Give the fields of its model `examples` that the service accepts."
        )
        location = response.headers["location"]
        self.ids.update(self.contract.parse(location)[1])
        self.made[location] = response
        return response

    def request(self, method: str, template: str) -> dict[str, Any]:
        """The arguments of a request that the operation accepts. Its texts are others each time."""
        content = self.contract.operations[method, template].get("requestBody", {}).get("content", {})
        if _JSON in content:
            schema = resolved(content[_JSON]["schema"], self.contract.document)
            return {"json": self._value(schema), "headers": {}}
        media_type = next(iter(content), None)
        return {"headers": {"content-type": media_type} if media_type else {}}

    async def delete(self) -> None:
        """All of them, the newest first."""
        for path in reversed(self.made):
            await self.client.delete(path)

    def _creates(self, method: str, path: str) -> bool:
        return method == "post" and "201" in self.contract.operations[method, path]["responses"]

    def _value(self, schema: Mapping[str, Any], name: str = "") -> Any:
        if name in self.ids:  # it refers to a member of another collection
            return self.ids[name]
        for alternatives in ("anyOf", "oneOf", "allOf"):
            if alternatives in schema:
                return self._value(schema[alternatives][0], name)
        given = [*schema.get("examples", ()), *schema.get("enum", ())]
        match schema.get("const", schema.get("type")):
            case "object":
                return {key: self._value(schema["properties"][key], key) for key in schema.get("required", ())}
            case "array":
                return [self._value(schema["items"])] * schema.get("minItems", 0)
            case "string" if not {"enum", "format"} & schema.keys():
                text = " ".join([uuid4().hex, *map(str, given)])[: schema.get("maxLength")]
                return text if re.search(schema.get("pattern", ""), text) or not given else given[0]
            case _ if given:
                return given[0]
            case "string":
                return str(uuid4())
            case "integer" | "number":
                return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            case "boolean":
                return True
            case constant:
                return constant
