"""Types of Istio's fields: how their values are written, and which values Istio accepts."""

import re
import warnings
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|ms)")
_MILLISECOND = timedelta(milliseconds=1)
_UNITS = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1), "ms": _MILLISECOND}

# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
_RETRY_CONDITIONS = (
    "5xx, cancelled, connect-failure, deadline-exceeded, envoy-ratelimited, gateway-error, internal, refused-stream, "
    "reset, reset-before-request, resource-exhausted, retriable-4xx, retriable-status-codes, unavailable"
)

# The elements of a regular expression. `unknown` are those of Python that RE2 lacks: back references, look-around,
# atomic groups, conditions, comments and possessive repetitions. https://github.com/google/re2/wiki/Syntax
_ELEMENT = re.compile(
    r"(?P<unknown>\\[1-9Zu]|\(\?(?:[=!>(#]|<[=!]|P=)|[*+?}]\+)|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL
)


def _parse_duration(value: object) -> timedelta:
    """A number and a unit, a part of Go's syntax. Istio's CRDs refuse durations below 1ms."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a duration; write it like 15s, 1.5m or 250ms")
    duration = float(found[1]) * _UNITS[found[2]]
    if duration < _MILLISECOND:
        raise ValueError(f"{value!r} is below 1ms, which Istio refuses; leave the field out for Istio's default")
    return duration


def _check_retry_on(value: str) -> str:
    for condition in value.split(","):
        if condition != condition.strip():
            raise ValueError(f"{value!r} has spaces, which Istio refuses; separate the conditions by commas only")
        if condition not in _RETRY_CONDITIONS.split(", "):
            raise ValueError(f"{condition!r} is not supported as a retry condition; use one of {_RETRY_CONDITIONS}")
    return value


def _check_regex(value: str) -> str:
    try:
        with warnings.catch_warnings(action="ignore"):  # about sets such as [[:alpha:]], which Python reads otherwise
            re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None
    for element in _ELEMENT.finditer(value):
        if unknown := element["unknown"]:
            raise ValueError(f"{value!r} contains {unknown!r}, which RE2, the syntax of Envoy, does not have")
    return value


def _check_settable(headers: dict[str, str]) -> dict[str, str]:
    for name in headers:
        if name.startswith(":") or name.lower() == "host":
            raise ValueError(f"{name!r} cannot be set here; remove it (rewrite.uri changes the path)")
    return headers


Duration = Annotated[timedelta, BeforeValidator(_parse_duration)]
RetryOn = Annotated[str, AfterValidator(_check_retry_on)]
Regex = Annotated[str, Field(min_length=1), AfterValidator(_check_regex)]  # it has to match the whole value
Port = Annotated[int, Field(ge=1, le=65535)]
Limit = Annotated[int, Field(ge=0)]  # 0 is Istio's way to say "not set"
SettableHeaders = Annotated[dict[str, str], AfterValidator(_check_settable)]
