"""What clients notice of a changed API: two OpenAPI documents, as service/web/openapi.py makes them, are compared.

A change breaks clients if something that they send is not accepted any more, or if they do not get what they got. A
new optional field of a request breaks nobody, and neither does a new field of an answer. A new required field of a
request does, and so does a field of an answer that may be null now. Descriptions, examples and the names of schemas
do not matter. Unions of objects are compared as if they were one object.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

_PARAMETER = re.compile(r"\{\w+\}")
_TYPES = {"anything", "array", "boolean", "integer", "null", "number", "object", "string"}
_METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
_UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minLength", "minItems")


@dataclass(frozen=True, slots=True)
class Change:
    what: str
    breaks: bool = False
    """Whether clients of the old API break."""

    def __str__(self) -> str:
        return f"{self.what} (breaks clients)" if self.breaks else self.what


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """What has changed from one document to the other, first what breaks clients."""
    return sorted(_Comparison(old, new).changes(), key=lambda change: not change.breaks)


class _Part(Enum):
    REQUEST = "request"
    ANSWER = "answer"


class _Comparison:
    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[_Part, str, str]] = set()
        """Schemas that have a name. Each is compared once, or a changed problem would be a change of every route."""

    def changes(self) -> Iterator[Change]:
        old, new = _operations(self._old), _operations(self._new)
        for key, (name, operation) in (old | new).items():
            if key not in new:
                yield Change(f"{name} removed", breaks=True)
            elif key not in old:
                yield Change(f"{name} added")
            else:
                yield from self._operation(name, old[key][1], operation)

    def _operation(self, name: str, old: Schema, new: Schema) -> Iterator[Change]:
        before, after = _parameters(old), _parameters(new)
        for key in before | after:
            what = f"{name}: {' '.join(key)}"
            if key not in after:
                yield Change(f"{what} removed", breaks=True)
            elif key not in before:
                yield _added(what, required=after[key].get("required", False), part=_Part.REQUEST)
            else:
                yield from _requirement(what, before[key], after[key])
                yield from self._schema(what, before[key]["schema"], after[key]["schema"], _Part.REQUEST)
        yield from self._body(name, old.get("requestBody"), new.get("requestBody"))
        yield from self._answers(name, old["responses"], new["responses"])

    def _body(self, name: str, old: Schema | None, new: Schema | None) -> Iterator[Change]:
        if old is None or new is None:
            if old is not None:
                yield Change(f"{name}: body removed", breaks=True)
            elif new is not None:
                yield _added(f"{name}: body", required=new.get("required", False), part=_Part.REQUEST)
            return
        yield from _requirement(f"{name}: body", old, new)
        yield from self._content(f"{name}: body", old, new, _Part.REQUEST)

    def _answers(self, name: str, old: Schema, new: Schema) -> Iterator[Change]:
        for status in old | new:
            if status not in new:
                yield Change(f"{name}: answer {status} removed", breaks=status < "4")
            elif status not in old:
                yield Change(f"{name}: answer {status} added")
            else:
                what = f"{name}: answer {status}" if status >= "4" else f"{name}: answer"
                yield from _headers(what, old[status].get("headers", {}), new[status].get("headers", {}))
                yield from self._content(what, old[status], new[status], _Part.ANSWER)

    def _content(self, what: str, old: Schema, new: Schema, part: _Part) -> Iterator[Change]:
        before, after = old.get("content", {}), new.get("content", {})
        for media in before | after:
            if media not in after:
                yield Change(f"{what} in {media} removed", breaks=True)
            elif media not in before:
                yield Change(f"{what} in {media} added")
            else:
                yield from self._schema(what, before[media].get("schema", {}), after[media].get("schema", {}), part)

    def _schema(self, what: str, old: Schema, new: Schema, part: _Part) -> Iterator[Change]:
        names = old.get("$ref", ""), new.get("$ref", "")
        if all(names):
            if (part, *names) in self._seen:
                return
            self._seen.add((part, *names))
        before, after = [*_variants(self._old, old)], [*_variants(self._new, new)]
        yield from _types(what, before, after, part)
        if part is _Part.REQUEST and len(before) == len(after):
            for one, other in zip(before, after, strict=True):
                yield from _limits(what, one, other)
        yield from self._fields(what, before, after, part)
        for key, place in (("items", "[]"), ("additionalProperties", "{}")):
            below = _below(before, key), _below(after, key)
            if below[0] is not None and below[1] is not None:
                yield from self._schema(f"{what}{place}", below[0], below[1], part)

    def _fields(self, what: str, old: list[Schema], new: list[Schema], part: _Part) -> Iterator[Change]:
        before, after = _properties(old), _properties(new)
        if not (before or after) or not (_is_object(old) and _is_object(new)):
            return
        required_before, required_after = _required(old), _required(new)
        separator = "." if " field " in what else " field "
        for name in before | after:
            field, is_required = f"{what}{separator}{name}", name in required_after
            if name not in after:
                yield Change(f"{field} removed", breaks=True)
            elif name not in before:
                yield _added(field, required=is_required, part=part)
            else:
                if is_required != (name in required_before):
                    kept_out = is_required if part is _Part.REQUEST else not is_required
                    yield Change(f"{field} is {'required' if is_required else 'optional'} now", breaks=kept_out)
                yield from self._schema(field, before[name], after[name], part)


def _operations(document: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str, Schema]]:
    """Name, such as `GET /things/{id}`, and operation. Clients do not see what a parameter in the path is called."""
    return {
        (method, _PARAMETER.sub("{}", path)): (f"{method.upper()} {path}", operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in _METHODS
    }


def _parameters(operation: Schema) -> dict[tuple[str, str], Schema]:
    """By place and name. Clients do not see the names of those in the path, so these are numbered."""
    found: dict[tuple[str, str], Schema] = {}
    for parameter in operation.get("parameters", ()):
        name = f"parameter {len(found) + 1}" if parameter["in"] == "path" else parameter["name"]
        found[parameter["in"], name] = parameter
    return found


def _added(what: str, *, required: bool, part: _Part) -> Change:
    if part is _Part.REQUEST and required:
        return Change(f"{what} added, required", breaks=True)
    return Change(f"{what} added")


def _requirement(what: str, old: Schema, new: Schema) -> Iterator[Change]:
    before, after = old.get("required", False), new.get("required", False)
    if before != after:
        yield Change(f"{what} is {'required' if after else 'optional'} now", breaks=after)


def _headers(what: str, old: Schema, new: Schema) -> Iterator[Change]:
    for name in old | new:
        if name not in new:
            yield Change(f"{what} header {name} removed", breaks=True)
        elif name not in old:
            yield Change(f"{what} header {name} added")


def _types(what: str, old: list[Schema], new: list[Schema], part: _Part) -> Iterator[Change]:
    before, after = _kinds(old), _kinds(new)
    if before == after:
        return
    narrow, wide = (before, after) if part is _Part.REQUEST else (after, before)
    fits = all(_is_one_of(kind, wide) for kind in narrow)
    yield Change(f"{what} is {_listed(after)}, was {_listed(before)}", breaks=not fits)


def _is_one_of(kind: str, wide: set[str]) -> bool:
    if kind in wide or "anything" in wide or (kind == "integer" and "number" in wide):
        return True
    return kind not in _TYPES and "string" in wide  # a format or a value


def _kinds(variants: list[Schema]) -> set[str]:
    kinds: set[str] = set()
    for variant in variants:
        values = [variant["const"]] if "const" in variant else variant.get("enum")
        if values is not None:
            kinds |= {"null" if value is None else repr(value) for value in values}
            continue
        types = variant.get("type", "object" if "properties" in variant else "anything")
        for kind in [types] if isinstance(types, str) else types:
            kinds.add(variant["format"] if kind == "string" and "format" in variant else kind)
    return kinds


def _listed(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))


def _limits(what: str, old: Schema, new: Schema) -> Iterator[Change]:
    """Only those of requests: an answer within other limits has the same shape."""
    for names, sign in ((_UPPER_LIMITS, 1), (_LOWER_LIMITS, -1)):
        for name in names:
            before, after = old.get(name), new.get(name)
            if before != after:
                narrower = after is not None and (before is None or sign * after < sign * before)
                yield Change(f"{what}: {name} is {_or_none(after)}, was {_or_none(before)}", breaks=narrower)
    if old.get("pattern") != new.get("pattern"):
        yield Change(f"{what}: another pattern", breaks="pattern" in new)


def _or_none(value: Any) -> str:
    return "none" if value is None else f"{value}"


def _variants(document: Mapping[str, Any], schema: Schema) -> Iterator[Schema]:
    """The schemas without references of which one holds."""
    while "$ref" in schema:
        place: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        schema = place
    if "allOf" in schema:
        parts = [part for one in schema["allOf"] for part in _variants(document, one)]
        yield {**{key: value for part in parts for key, value in part.items()}, **_merged(parts)}
        return
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for alternative in alternatives:
        yield from _variants(document, alternative)
    if not alternatives:
        yield schema


def _merged(parts: list[Schema]) -> dict[str, Any]:
    required = [name for part in parts for name in part.get("required", ())]
    return {"properties": _properties(parts), "required": required} if _properties(parts) else {}


def _is_object(variants: list[Schema]) -> bool:
    return any("properties" in variant or variant.get("type") == "object" for variant in variants)


def _properties(variants: list[Schema]) -> dict[str, Schema]:
    return {name: schema for variant in variants for name, schema in variant.get("properties", {}).items()}


def _required(variants: list[Schema]) -> set[str]:
    """What all objects among them require."""
    required = [set(variant.get("required", ())) for variant in variants if _is_object([variant])]
    return set.intersection(*required) if required else set()


def _below(variants: list[Schema], key: str) -> Schema | None:
    return next((variant[key] for variant in variants if isinstance(variant.get(key), Mapping)), None)
