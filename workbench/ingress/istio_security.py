"""Models of Istio's RequestAuthentication and AuthorizationPolicy, which forbid unknown fields too, see istio.py.

What only a sidecar can match, because it knows its caller by mutual TLS, is not supported: no client of the gateway
has such an identity. https://istio.io/latest/docs/reference/config/security/ describes each field.
"""

import json
import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from workbench.ingress.istio import Metadata, Strict
from workbench.ingress.istio_values import Duration, HeaderName

ApiVersion = Literal["security.istio.io/v1", "security.istio.io/v1beta1"]  # with the same fields

_DRY_RUN = "istio.io/dry-run"
_CLAIM = re.compile(r"request\.auth\.claims((?:\[[^\[\]]+\])+)")
_HEADER = re.compile(r"request\.headers\[([-_A-Za-z0-9]+)\]")
_ATTRIBUTES = ("request.auth.principal", "request.auth.audiences", "request.auth.presenter")


def _check_pattern(value: str) -> str:
    """Istio takes any other `*` literally, so the policy would silently match nothing."""
    if not re.fullmatch(r"\*?[^*]+|[^*]*\*", value):
        raise ValueError(f"{value!r} has a * that Istio takes literally; write one *, at the beginning or at the end")
    return value


def _check_path(value: str) -> str:
    if wrong := re.search(r"[?#{}]", value):
        raise ValueError(f"{value!r} has a {wrong[0]}: a query is not compared, and templates are not supported")
    if not value.startswith(("/", "*")):
        raise ValueError(f"{value!r} matches no path; begin it with / or *")
    return value


def _check_jwks(value: str) -> str:
    try:
        keys = json.loads(value)["keys"]
    except (ValueError, TypeError, KeyError):
        keys = None
    if not (isinstance(keys, list) and keys and all(isinstance(key, dict) and "kty" in key for key in keys)):
        raise ValueError('is not a JSON Web Key Set; write it like {"keys": [{"kty": "RSA", ...}]}')
    return value


Text = Annotated[str, Field(min_length=1)]
Pattern = Annotated[Text, AfterValidator(_check_pattern)]
"""A value, a beginning with a * after it, an end with a * before it, or * for any value that is not empty."""
Path = Annotated[Pattern, AfterValidator(_check_path)]
Method = Annotated[Pattern, Field(pattern=r"^[A-Z*]+$")]
Jwks = Annotated[str, AfterValidator(_check_jwks)]
JwksUri = Annotated[str, Field(pattern=r"^https?://[^/]+/")]


class Selector(Strict):
    match_labels: Annotated[dict[str, str], Field(min_length=1)]


# --- RequestAuthentication


class HeaderLocation(Strict):
    name: HeaderName
    prefix: str = ""


class ClaimToHeader(Strict):
    header: HeaderName
    claim: Text


class JwtRule(Strict):
    """Which tokens are valid, where they are in a request, and what of them the service gets."""

    issuer: Text
    audiences: list[Text] = Field(default=[])
    jwks: Jwks | None = None
    jwks_uri: JwksUri | None = None
    from_headers: list[HeaderLocation] = Field(default=[])
    from_params: list[Text] = Field(default=[])
    from_cookies: list[Text] = Field(default=[])
    forward_original_token: bool = False
    output_payload_to_header: HeaderName | None = None
    output_claim_to_headers: list[ClaimToHeader] = Field(default=[])
    space_delimited_claims: list[Text] = Field(default=[])
    timeout: Duration = timedelta(seconds=5)  # for the keys; Istio's default

    @model_validator(mode="after")
    def _keys(self) -> Self:
        if (self.jwks is None) == (self.jwks_uri is None):
            raise ValueError("give exactly one of jwks and jwksUri; discovery by the issuer is not supported")
        return self


class RequestAuthenticationSpec(Strict):
    selector: Selector | None = None
    jwt_rules: Annotated[list[JwtRule], Field(min_length=1)]


class RequestAuthentication(Strict):
    api_version: ApiVersion
    kind: Literal["RequestAuthentication"]
    metadata: Metadata
    spec: RequestAuthenticationSpec


# --- AuthorizationPolicy


class Source(Strict):
    request_principals: list[Pattern] = Field(default=[])
    not_request_principals: list[Pattern] = Field(default=[])


class Operation(Strict):
    hosts: list[Pattern] = Field(default=[])
    not_hosts: list[Pattern] = Field(default=[])
    methods: list[Method] = Field(default=[])
    not_methods: list[Method] = Field(default=[])
    paths: list[Path] = Field(default=[])
    not_paths: list[Path] = Field(default=[])


def _check_not_empty(value: Source | Operation) -> Source | Operation:
    if not any(getattr(value, name) for name in type(value).model_fields):
        raise ValueError("an empty condition is refused by Istio; give at least one value, or leave it out")
    return value


class From(Strict):
    source: Annotated[Source, AfterValidator(_check_not_empty)]


class To(Strict):
    operation: Annotated[Operation, AfterValidator(_check_not_empty)]


class Condition(Strict):
    key: str
    values: list[Pattern] = Field(default=[])
    not_values: list[Pattern] = Field(default=[])

    @property
    def claim(self) -> list[str]:
        """The path to a claim of the token; nothing if this is about something else."""
        found = _CLAIM.fullmatch(self.key)
        return found[1][1:-1].split("][") if found else []

    @property
    def header(self) -> str:
        """The name of a header; nothing if this is about something else."""
        found = _HEADER.fullmatch(self.key)
        return found[1] if found else ""

    @field_validator("key")
    @classmethod
    def _known(cls, key: str) -> str:
        if key not in _ATTRIBUTES and not _CLAIM.fullmatch(key) and not _HEADER.fullmatch(key):
            known = ", ".join(_ATTRIBUTES)
            raise ValueError(f"{key!r} is not supported; use request.auth.claims[x], request.headers[x], {known}")
        return key

    @model_validator(mode="after")
    def _some_value(self) -> Self:
        if not (self.values or self.not_values):
            raise ValueError("give at least one of values and notValues")
        return self


class Rule(Strict):
    """A request has to meet one item of each field that is there."""

    sources: list[From] = Field(default=[], alias="from", min_length=1)
    operations: list[To] = Field(default=[], alias="to", min_length=1)
    conditions: list[Condition] = Field(default=[], alias="when")  # all of them


class AuthorizationPolicySpec(Strict):
    selector: Selector | None = None
    action: Literal["ALLOW", "DENY"] = "ALLOW"
    rules: list[Rule] = Field(default=[])

    @model_validator(mode="after")
    def _some_rule(self) -> Self:
        if self.action == "DENY" and not self.rules:
            raise ValueError("a DENY without rules is refused by Istio; add a rule, or {} for every request")
        return self


class AuthorizationPolicyMetadata(Metadata):
    @field_validator("annotations")
    @classmethod
    def _enforced(cls, annotations: dict[str, str]) -> dict[str, str]:
        if _DRY_RUN in annotations:
            raise ValueError(f"{_DRY_RUN} is not supported; remove it, since the workbench would enforce the policy")
        return annotations


class AuthorizationPolicy(Strict):
    api_version: ApiVersion
    kind: Literal["AuthorizationPolicy"]
    metadata: AuthorizationPolicyMetadata
    spec: AuthorizationPolicySpec = AuthorizationPolicySpec()
