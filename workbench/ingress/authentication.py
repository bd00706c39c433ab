"""RequestAuthentication to Envoy's filter that verifies tokens, with the semantics of Istio.

A request without a token passes, and is anonymous. A token that is there has to be valid: otherwise the answer is
401, or 403 if it is for another audience. Who may do what is decided after that, in authorization.py.
"""

from collections.abc import Sequence

from workbench.ingress.envoy_json import Json, duration, typed
from workbench.ingress.istio_security import JwtRule

FILTER = "envoy.filters.http.jwt_authn"
PAYLOAD = "payload"
"""Where the filter keeps the claims of a valid token, for the filters after it."""

# In the cluster istiod fetches the keys and sends them to the gateway. Here Envoy fetches them: each second, and for
# a request with a token if it has none yet. So neither its start nor a save waits for the provider, and while that
# is away, the keys are good, until the rules change.
_FETCHED: Json = {"cache_duration": "1s", "async_fetch": {"fast_listener": True}}


def jwt_filters(rules: Sequence[JwtRule], keys_cluster: str) -> list[Json]:
    """No filter if there are no rules. Keys of a `jwksUri` are fetched through `keys_cluster`."""
    if not rules:
        return []
    in_order = sorted(rules, key=lambda rule: rule.issuer)  # of which Istio makes the names
    providers = {f"origins-{index}": _provider(rule, keys_cluster) for index, rule in enumerate(in_order)}
    config = typed(
        "filters.http.jwt_authn.v3.JwtAuthentication",
        providers=providers,
        rules=[{"match": {"prefix": "/"}, "requires": _requirement(list(providers))}],
        bypass_cors_preflight=True,
    )
    return [{"name": FILTER, "typed_config": config}]


def _requirement(providers: Sequence[str]) -> Json:
    """A valid token of one of them, or else no token that any of them would read."""
    valid_or_missing = [_any([{"provider_name": name}, {"allow_missing": {}}]) for name in providers]
    if len(valid_or_missing) == 1:
        return valid_or_missing[0]
    valid = [{"provider_name": name} for name in providers]
    return _any([*valid, {"requires_all": {"requirements": valid_or_missing}}])


def _any(requirements: Sequence[Json]) -> Json:
    return {"requires_any": {"requirements": list(requirements)}}


def _provider(rule: JwtRule, keys_cluster: str) -> Json:
    provider: Json = {
        "issuer": rule.issuer,
        "audiences": rule.audiences,
        "forward": rule.forward_original_token,
        "payload_in_metadata": PAYLOAD,
        "normalize_payload_in_metadata": {
            "space_delimited_claims": sorted({*rule.space_delimited_claims, "permission", "scope"})
        },
        "clear_route_cache": True,
        "from_headers": [{"name": place.name, "value_prefix": place.prefix} for place in rule.from_headers],
        "from_params": rule.from_params,
        "from_cookies": rule.from_cookies,
        "claim_to_headers": [
            {"header_name": output.header, "claim_name": output.claim} for output in rule.output_claim_to_headers
        ],
    }
    if rule.output_payload_to_header:
        provider["forward_payload_header"] = rule.output_payload_to_header
    if rule.jwks_uri is None:
        return {**provider, "local_jwks": {"inline_string": rule.jwks}}
    uri = {"uri": rule.jwks_uri, "cluster": keys_cluster, "timeout": duration(rule.timeout)}
    return {**provider, "remote_jwks": {"http_uri": uri, **_FETCHED}}
