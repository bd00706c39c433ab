"""Types of Istio's fields: how their values are written, and which values Istio accepts."""

import re
from datetime import timedelta
from math import isqrt
from typing import Annotated, Literal

import re2
from pydantic import AfterValidator, BeforeValidator, Field

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|ms)")
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST = timedelta(days=106_751)  # 2**63 ns
_UNITS = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1), "ms": _MILLISECOND}

# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
_RETRY_CONDITIONS = (
    "5xx, cancelled, connect-failure, deadline-exceeded, envoy-ratelimited, gateway-error, internal, refused-stream, "
    "reset, reset-before-request, resource-exhausted, retriable-4xx, retriable-status-codes, unavailable"
)

# What Istio sets for its proxies, and the length above which it refuses an expression before they see it.
MAX_REGEX_PROGRAM_SIZE = 32768
_MAX_REGEX_LENGTH = 1024

# In a header's value, `%` begins a command of Envoy, such as %REQ(user-agent):40%, and `%%` is a percent sign.
# https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#command-operators
_HEADER_VALUE = re.compile(r"(?:[^%]|%%|%[A-Z0-9_]+(?:\([^)]*\))?(?::[0-9]+)?%)*", re.DOTALL)
_HEADER_NAME = re.compile(r"[-_A-Za-z0-9]+")  # as Istio, which allows fewer signs than HTTP
_GATEWAY_HOST = re.compile(r"(?:\*|(?!-)[-A-Za-z0-9]+(?<!-))(?:\.(?!-)[-A-Za-z0-9]+(?<!-))+")
_FORBIDDEN_IN_HEADERS = "\0\r\n"

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL_NAME = re.compile(rf"([A-Za-z0-9]([-A-Za-z0-9.]{{0,251}}[A-Za-z0-9])?/)?{_LABEL_PART}")
_LABEL_VALUE = re.compile(rf"({_LABEL_PART})?")


def _parse_duration(value: object) -> timedelta:
    """A number and a unit, a part of Go's syntax. Istio's CRDs refuse durations below 1ms."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a duration; write it like 15s, 1.5m or 250ms")
    try:
        duration = float(found[1]) * _UNITS[found[2]]
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        raise ValueError(f"{value!r} is longer than Envoy can count, {_LONGEST.days} days; write a shorter duration")
    if duration < _MILLISECOND:
        raise ValueError(f"{value!r} is below 1ms, which Istio refuses; leave the field out for Istio's default")
    return duration


def _parse_cookie_duration(value: object) -> timedelta:
    """Only here, 0s has a meaning: the cookie lasts until the browser is closed."""
    return timedelta() if value == "0s" else _parse_duration(value)


def _check_whole_seconds(value: timedelta) -> timedelta:
    if value.microseconds:
        raise ValueError(f"{value.total_seconds():g}s is not a number of whole seconds, which Istio needs here")
    return value


def _check_retry_on(value: str) -> str:
    for condition in value.split(","):
        if condition != condition.strip():
            raise ValueError(f"{value!r} has spaces, which Istio refuses; separate the conditions by commas only")
        if condition not in _RETRY_CONDITIONS.split(", "):
            raise ValueError(f"{condition!r} is not supported as a retry condition; use one of {_RETRY_CONDITIONS}")
    return value


def _check_regex(value: str) -> str:
    """Judges as Envoy does, which compiles it with RE2. Python's `re` accepts more here, and less there."""
    options = re2.Options()
    options.log_errors = False  # it would print them
    try:
        program = re2.compile(value, options)
    except re2.error as error:
        [reason] = error.args
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise ValueError(
            f"{value!r} is not a regular expression of RE2, the syntax of Envoy ({said}); "
            "see https://github.com/google/re2/wiki/Syntax"
        ) from None
    if len(value.encode()) > _MAX_REGEX_LENGTH or program.programsize > MAX_REGEX_PROGRAM_SIZE:
        raise ValueError(
            f"{shortened(value)} is too long for Istio and Envoy (up to {_MAX_REGEX_LENGTH} bytes, and "
            f"{MAX_REGEX_PROGRAM_SIZE} instructions when compiled); repeat less, or split it into several matches"
        )
    return value


def _check_line(value: str) -> str:
    if set(value) & set(_FORBIDDEN_IN_HEADERS):
        raise ValueError(f"{value!r} has a line break or a zero byte, which no header can have; remove it")
    return value


def _check_header_value(value: str) -> str:
    """Whether the commands are written correctly. Envoy knows which ones there are, see refused_rule.py."""
    end = _HEADER_VALUE.match(value).end()  # type: ignore[union-attr]  # it matches an empty text too
    if end < len(value):
        raise ValueError(
            f"{value!r} has a % at position {end} that begins no command of Envoy such as %REQ(user-agent)%; "
            "write %% for a percent sign"
        )
    return value


def _check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header; use letters, digits and hyphens")
    return name


def _check_labels(labels: dict[str, str]) -> dict[str, str]:
    for name, value in labels.items():
        if not (_LABEL_NAME.fullmatch(name) and _LABEL_VALUE.fullmatch(value)):
            raise ValueError(f"{f'{name}: {value}'!r} can be no label of a pod; use letters, digits and -_.")
    return labels


def _check_cors_header(name: str) -> str:
    return name if name == "*" else _check_header_name(name)


def _check_settable(headers: dict[str, str]) -> dict[str, str]:
    for name in headers:
        _check_settable_name(name)
    return headers


def _check_settable_name(name: str) -> str:
    if name.startswith(":") or name.lower() == "host":
        raise ValueError(f"{name!r} cannot be changed here; remove it (rewrite changes the path and the authority)")
    return _check_header_name(name)


def _check_gateway_host(host: str) -> str:
    if "/" in host:
        raise ValueError(f"{host!r}: a host with a namespace is not supported; write the host alone")
    if host != "*" and not _GATEWAY_HOST.fullmatch(host):
        raise ValueError(f"{host!r} is refused by Istio; use a name with a dot in it, *.example or *")
    return host


def _check_prime(value: int) -> int:
    if value < 2 or any(value % divisor == 0 for divisor in range(2, isqrt(value) + 1)):
        raise ValueError(f"{value} is not a prime number, which the size of this table has to be, such as 65537")
    return value


def shortened(value: str, length: int = 60) -> str:
    return repr(value if len(value) <= length else f"{value[:length]}...")


Duration = Annotated[timedelta, BeforeValidator(_parse_duration)]
CookieDuration = Annotated[timedelta, BeforeValidator(_parse_cookie_duration)]
WholeSeconds = Annotated[Duration, AfterValidator(_check_whole_seconds)]
RetryOn = Annotated[str, AfterValidator(_check_retry_on)]
Regex = Annotated[str, Field(min_length=1), AfterValidator(_check_regex)]  # it has to match the whole value
Port = Annotated[int, Field(ge=1, le=65535)]
Limit = Annotated[int, Field(ge=0, le=2**31 - 1)]  # 0 is Istio's way to say "not set"
RingSize = Annotated[int, Field(ge=0, le=8 * 1024 * 1024)]  # in Envoy; 0 means "not set" here too
TableSize = Annotated[int, Field(lt=5_000_011), AfterValidator(_check_prime)]
GatewayHost = Annotated[str, AfterValidator(_check_gateway_host)]
HeaderName = Annotated[str, AfterValidator(_check_header_name)]
Line = Annotated[str, AfterValidator(_check_line)]
HeaderValue = Annotated[Line, AfterValidator(_check_header_value)]
SettableHeaders = Annotated[dict[str, HeaderValue], AfterValidator(_check_settable)]
CorsHeader = Annotated[str, AfterValidator(_check_cors_header)]  # or `*`, for all
CorsMethod = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "*"]
Labels = Annotated[dict[str, str], AfterValidator(_check_labels)]
RemovableHeaders = list[Annotated[str, AfterValidator(_check_settable_name)]]
