"""Translates the routes of a VirtualService to Envoy's, as istiod does in its pilot/pkg/networking/core/route."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from http import HTTPStatus

from workbench.ingress.envoy_json import Json, duration, typed
from workbench.ingress.envoyfilter import HttpRoutePatch
from workbench.ingress.istio import (
    CorsPolicy,
    Destination,
    HeaderOperations,
    Headers,
    HttpRoute,
    Redirect,
    RequestMatch,
    Retries,
    Rewrite,
    StringMatch,
)
from workbench.ingress.istio_destination import ConsistentHash

CORS = "envoy.filters.http.cors"


def envoy_routes(
    routes: Sequence[HttpRoute],
    patches: Sequence[HttpRoutePatch],
    cluster: Callable[[Destination], str],
    consistent_hash: Callable[[Destination], ConsistentHash | None],
) -> list[Json]:
    """Keeps the order, since the first match wins in both. Each alternative of a match becomes a route of its own.

    `cluster` returns the name of a destination's cluster, and `consistent_hash` by what requests to it are hashed.
    """
    translated = [
        _route(route, match, cluster, consistent_hash)
        for route in routes
        for match in route.match or [RequestMatch()]
    ]
    for patch in patches:
        for route in translated:
            if route["name"] == patch.route:
                _merge(route, patch.patch.value.model_dump(exclude_unset=True))
    return translated


def without_timeouts(translated: Sequence[Json]) -> None:
    """Let these routes of Envoy wait for an answer as long as it takes."""
    for action in (route["route"] for route in translated if "route" in route):
        action |= {"timeout": "0s", "idle_timeout": "0s"}
        action.get("retry_policy", {}).pop("per_try_timeout", None)


def _merge(into: Json, value: Json) -> None:
    """As Istio does: fields at every depth; lists are continued, and settings of filters are replaced as a whole."""
    for name, new in value.items():
        old = into.get(name)
        if isinstance(old, dict) and isinstance(new, dict) and "@type" not in old:
            into[name] = {**old}
            _merge(into[name], new)
        elif isinstance(old, list) and isinstance(new, list):
            into[name] = [*old, *new]
        else:
            into[name] = new


def _route(
    route: HttpRoute,
    match: RequestMatch,
    cluster: Callable[[Destination], str],
    consistent_hash: Callable[[Destination], ConsistentHash | None],
) -> Json:
    # Those of several destinations are in their weighted clusters.
    of_destination = [] if route.weighted else [to.headers for to in route.route]
    translated: Json = {
        "name": route.name,
        "match": _match(match),
        **_header_changes(route.headers, *of_destination),
    }
    if route.cors_policy:
        translated["typed_per_filter_config"] = {CORS: _cors_policy(route.cors_policy)}
    if route.direct_response:
        translated["direct_response"] = {"status": route.direct_response.status}
        if route.direct_response.body:
            translated["direct_response"]["body"] = {"inline_string": route.direct_response.body.string}
    elif route.redirect:
        translated["redirect"] = _redirect(route.redirect)
    else:
        translated["route"] = _action(route, cluster, consistent_hash)
        if route.mirror and (share := route.mirror_percentage.value):
            translated["route"]["request_mirror_policies"] = [_mirror(cluster(route.mirror), share)]
    return translated


def _action(
    route: HttpRoute,
    cluster: Callable[[Destination], str],
    consistent_hash: Callable[[Destination], ConsistentHash | None],
) -> Json:
    hashes = [by for to in route.destinations if (by := consistent_hash(to.destination))]
    action: Json = {**_clusters(route, cluster), "timeout": duration(route.timeout or timedelta())}
    retries = route.retries or Retries(attempts=2)  # Istio's default
    if retries.attempts:
        action["retry_policy"] = _retry_policy(retries, other_replica=route.weighted or not hashes)
    if route.rewrite:
        action |= _rewrite(route.rewrite)
    if hashes:
        action["hash_policy"] = [_hash_policy(by) for by in hashes]
    return action


def _clusters(route: HttpRoute, cluster: Callable[[Destination], str]) -> Json:
    if not route.weighted:
        return {"cluster": cluster(route.route[0].destination)}
    weighted = [
        {"name": cluster(to.destination), "weight": to.weight, **_header_changes(to.headers)}
        for to in route.destinations
    ]
    return {"weighted_clusters": {"clusters": weighted}}


def _mirror(cluster: str, percentage: float) -> Json:
    fraction = {"numerator": int(percentage * 10_000), "denominator": "MILLION"}
    return {
        "cluster": cluster,
        "runtime_fraction": {"default_value": fraction},
        "trace_sampled": False,
        "disable_shadow_host_suffix_append": True,  # the copy has the same host as the request
    }


def _rewrite(rewrite: Rewrite) -> Json:
    translated: Json = {}
    if rewrite.uri_regex_rewrite:
        regex = rewrite.uri_regex_rewrite
        translated["regex_rewrite"] = {"pattern": {"regex": regex.match}, "substitution": regex.rewrite}
    elif rewrite.uri:
        translated["prefix_rewrite"] = rewrite.uri
    if rewrite.authority:
        translated["host_rewrite_literal"] = rewrite.authority
    return translated


def _hash_policy(by: ConsistentHash) -> Json:
    if by.http_header_name:
        return {"header": {"header_name": by.http_header_name}}
    if by.http_query_parameter_name:
        return {"query_parameter": {"name": by.http_query_parameter_name}}
    if by.http_cookie:
        ttl = by.http_cookie.ttl
        cookie: Json = {"name": by.http_cookie.name, "path": by.http_cookie.path}
        return {"cookie": cookie if ttl is None else {**cookie, "ttl": duration(ttl)}}
    return {"connection_properties": {"source_ip": bool(by.use_source_ip)}}


def _match(match: RequestMatch) -> Json:
    headers: list[Json] = [
        {"name": name, "string_match": _string_match(value)}
        if value.model_fields_set
        else {"name": name, "present_match": True}
        for name, value in match.headers.items()
    ]
    for name, pseudo in ((":method", match.method), (":authority", match.authority)):
        if pseudo is not None:
            headers.append({"name": name, "string_match": _string_match(pseudo)})
    return {**_path_match(match.uri), "headers": headers}


def _path_match(uri: StringMatch | None) -> Json:
    if uri is None:
        return {"prefix": "/"}
    return {"path": uri.exact} if uri.exact is not None else _string_match(uri)


def _string_match(value: StringMatch) -> Json:
    if value.exact is not None:
        return {"exact": value.exact}
    if value.prefix is not None:
        return {"prefix": value.prefix}
    return {"safe_regex": {"regex": value.regex}}


def _header_changes(*changes: Headers) -> Json:
    """The fields that a route and a weighted cluster have for them. The last changes are made last."""
    return {
        "request_headers_to_add": [added for one in changes for added in _headers_to_add(one.request)],
        "request_headers_to_remove": [name for one in changes for name in one.request.remove],
        "response_headers_to_add": [added for one in changes for added in _headers_to_add(one.response)],
        "response_headers_to_remove": [name for one in changes for name in one.response.remove],
    }


def _headers_to_add(operations: HeaderOperations) -> list[Json]:
    return [
        {"header": {"key": name, "value": value}, "append_action": action}
        for action, headers in (
            ("OVERWRITE_IF_EXISTS_OR_ADD", operations.set),
            ("APPEND_IF_EXISTS_OR_ADD", operations.add),
        )
        for name, value in headers.items()
    ]


def _retry_policy(retries: Retries, other_replica: bool) -> Json:
    policy: Json = {
        "num_retries": retries.attempts,
        "retry_on": retries.retry_on,
        "host_selection_retry_max_attempts": 5,
    }
    if other_replica:
        # A retry goes to another replica. If five picks in a row hit a replica that was tried, it is tried again.
        policy["retry_host_predicate"] = [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": typed("retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ]
    if retries.per_try_timeout:
        policy["per_try_timeout"] = duration(retries.per_try_timeout)
    return policy


def _redirect(redirect: Redirect) -> Json:
    fields = {
        "response_code": HTTPStatus(redirect.redirect_code).name,
        "path_redirect": redirect.uri,
        "host_redirect": redirect.authority,
        "scheme_redirect": redirect.scheme,
    }
    return {name: value for name, value in fields.items() if value}


def _cors_policy(cors: CorsPolicy) -> Json:
    fields: Json = {
        "allow_origin_string_match": [_string_match(origin) for origin in cors.allow_origins],
        "allow_methods": ",".join(cors.allow_methods),
        "allow_headers": ",".join(cors.allow_headers),
        "expose_headers": ",".join(cors.expose_headers),
        "filter_enabled": {"default_value": {"numerator": 100}},
        "forward_not_matching_preflights": cors.unmatched_preflights != "IGNORE",
    }
    if cors.max_age is not None:
        fields["max_age"] = str(cors.max_age // timedelta(seconds=1))
    if cors.allow_credentials is not None:
        fields["allow_credentials"] = cors.allow_credentials
    return typed("filters.http.cors.v3.CorsPolicy", **fields)
