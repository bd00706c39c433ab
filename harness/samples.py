"""Makes JSON that fits a JSON Schema, as far as a schema can tell what a service accepts."""

import itertools
import math
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

_RUN = secrets.token_hex(3)  # so that a second load creates other texts than the first one


def sample(schema: Mapping[str, Any], number: int) -> Any:
    """A value for the request with this number.

    An object has the required fields only. Values of different requests differ where the schema allows it, and each
    time is later than all before it: an interval neither ends before it begins nor overlaps with another one.
    """
    return _Sample(number).of(schema)


class _Sample:
    def __init__(self, number: int) -> None:
        self._number = number
        self._now = datetime.now(UTC)
        self._steps = itertools.count()

    def of(self, schema: Mapping[str, Any]) -> Any:
        if "const" in schema:
            return schema["const"]
        if values := schema.get("enum"):
            return values[self._number % len(values)]
        for several in ("anyOf", "oneOf", "allOf"):
            if schema.get(several):
                return self.of(schema[several][0])
        match schema.get("type"):
            case "object":
                return {name: self.of(schema["properties"][name]) for name in schema.get("required", ())}
            case "array":
                return [self.of(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
            case "string":
                return self._text(schema)
            case "integer" | "number":
                return self._amount(schema)
            case "boolean":
                return self._number % 2 == 1
        examples = schema.get("examples", [None])
        return examples[self._number % len(examples)]

    def _text(self, schema: Mapping[str, Any]) -> str:
        candidates = [*self._texts(schema)]
        return next((text for text in candidates if _fits(text, schema)), candidates[-1])

    def _texts(self, schema: Mapping[str, Any]) -> Iterator[str]:
        """Candidates, the best ones first."""
        unique = f"{_RUN}-{self._number}"
        match schema.get("format"):
            case "date-time":
                yield (self._now + timedelta(microseconds=next(self._steps))).isoformat()
            case "date":
                yield (self._now.date() + timedelta(days=next(self._steps))).isoformat()
            case "uuid":
                yield str(uuid4())
            case "email":
                yield f"load-{unique}@example.com"
            case "uri":
                yield f"https://example.com/{unique}"
            case None:
                yield f"Load {unique}".ljust(schema.get("minLength", 0), ".")
                yield unique[-schema.get("maxLength", len(unique)) :]
            case _:
                yield unique
        yield from schema.get("examples", ())

    def _amount(self, schema: Mapping[str, Any]) -> float:
        """A multiple of `multipleOf`, which is 1 by default, if there is one between the limits."""
        step = schema.get("multipleOf", 1)
        highest = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
        lowest = schema.get("minimum", schema.get("exclusiveMinimum", min(1, highest)))
        last = math.floor(min(highest, lowest + 1000 * step) / step)
        excluded = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        steps = range(math.ceil(lowest / step), last + 1)
        values: list[float] = [number * step for number in steps if number * step not in excluded]
        return values[self._number % len(values)] if values else float(lowest + highest) / 2


def _fits(text: str, schema: Mapping[str, Any]) -> bool:
    try:
        matches = re.search(schema.get("pattern", ""), text) is not None
    except re.error:  # a pattern that other languages know
        matches = False
    return matches and schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
