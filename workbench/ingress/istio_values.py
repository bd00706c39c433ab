"""Values of Istio's fields: how they are written, and which ones Istio accepts."""

import re
from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|m|s|ms|us|ns))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|m(?!s)|s|ms|us|ns)")
_UNIT_SECONDS = {
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
    "ns": Decimal("1e-9"),
}


def _parse_duration(value: object) -> timedelta:
    """Go's duration, as in 15s, 1m30s or 250ms; Istio's CRDs accept nothing below 1ms."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError(f"{value!r} is not a duration; write it like 15s, 1m30s or 250ms")
    seconds = sum(Decimal(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    if seconds < Decimal("1e-3"):
        raise ValueError(f"{value!r} is below 1ms, which Istio refuses; leave the field out for Istio's default")
    return timedelta(seconds=float(seconds))


# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
_RETRY_CONDITIONS = frozenset(
    {
        "5xx",
        "cancelled",
        "connect-failure",
        "deadline-exceeded",
        "envoy-ratelimited",
        "gateway-error",
        "http3-post-connect-failure",
        "internal",
        "refused-stream",
        "reset",
        "reset-before-request",
        "resource-exhausted",
        "retriable-4xx",
        "retriable-headers",
        "retriable-status-codes",
        "unavailable",
    }
)


def _check_retry_on(value: str) -> str:
    for condition in value.split(","):
        if condition != condition.strip():
            raise ValueError(f"{value!r} has spaces, which Istio refuses; separate the conditions by commas only")
        known = condition in _RETRY_CONDITIONS or (condition.isdigit() and int(condition) in set(HTTPStatus))
        if not known:
            names = ", ".join(sorted(_RETRY_CONDITIONS))
            raise ValueError(f"{condition!r} is not a retry condition; use a status code or one of {names}")
    return value


def _check_settable(headers: dict[str, str]) -> dict[str, str]:
    for name in headers:
        if name.startswith(":") or name.lower() == "host":
            raise ValueError(f"{name!r} cannot be changed here; use rewrite (authority, uri)")
    return headers


def _check_port(port: int) -> int:
    if not 0 < port < 65536:
        raise ValueError(f"{port} is not a port")
    return port


Duration = Annotated[timedelta, BeforeValidator(_parse_duration)]
RetryOn = Annotated[str, AfterValidator(_check_retry_on)]
Port = Annotated[int, AfterValidator(_check_port)]
Limit = Annotated[int, Field(ge=0)]  # 0 is Istio's way to say "not set"
SettableHeaders = Annotated[dict[str, str], AfterValidator(_check_settable)]
