"""The routes of a VirtualService as Envoy's: what istiod's pilot/pkg/networking/core/route makes of them."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from workbench.ingress.envoy_json import Json, duration, typed
from workbench.ingress.envoyfilter import HttpRoutePatch
from workbench.ingress.istio import (
    Fault,
    HeaderOperations,
    HttpRoute,
    Percentage,
    Redirect,
    RequestMatch,
    Retries,
    StringMatch,
)


def envoy_routes(
    routes: Sequence[HttpRoute], patches: Sequence[HttpRoutePatch], cluster: Callable[[str], str]
) -> list[Json]:
    """In the same order, as the first match wins in both; each alternative of a match is a route of its own.

    `cluster` gives the name of a subset's cluster.
    """
    translated = [_route(route, match, cluster) for route in routes for match in route.alternatives]
    for patch in patches:
        for route in translated:
            if route["name"] == patch.route:
                _merge(route, patch.patch.value.model_dump(exclude_unset=True))
    return translated


def _merge(route: Json, value: Json) -> None:
    for name, fields in value.items():
        route[name] = {**route.get(name, {}), **fields}


def _route(route: HttpRoute, match: RequestMatch, cluster: Callable[[str], str]) -> Json:
    request, response = route.headers.request, route.headers.response
    translated: Json = {
        "name": route.name_for(match),
        "match": _match(match),
        "request_headers_to_add": _headers_to_add(request),
        "request_headers_to_remove": request.remove,
        "response_headers_to_add": _headers_to_add(response),
        "response_headers_to_remove": response.remove,
    }
    if route.fault:
        translated["typed_per_filter_config"] = {"envoy.filters.http.fault": _fault(route.fault)}
    if route.direct_response:
        translated["direct_response"] = {"status": route.direct_response.status}
        if route.direct_response.body:
            translated["direct_response"]["body"] = {"inline_string": route.direct_response.body.string}
    elif route.redirect:
        translated["redirect"] = _redirect(route.redirect)
    else:
        [to] = route.route
        action: Json = {"cluster": cluster(to.destination.subset), "timeout": duration(route.timeout or timedelta())}
        # Istio's own defaults apply without `retries`; `attempts: 0` switches them off.
        retries = route.retries or Retries(attempts=2)
        if retries.attempts:
            action["retry_policy"] = _retry_policy(retries)
        if route.rewrite and route.rewrite.uri:
            action["prefix_rewrite"] = route.rewrite.uri
        if route.rewrite and route.rewrite.authority:
            action["host_rewrite_literal"] = route.rewrite.authority
        translated["route"] = action
    return translated


def _match(match: RequestMatch) -> Json:
    translated: Json = {"case_sensitive": not match.ignore_uri_case}
    if match.uri is None:
        translated["prefix"] = "/"
    elif match.uri.exact is not None:
        translated["path"] = match.uri.exact
    elif match.uri.prefix is not None:
        translated["prefix"] = match.uri.prefix
    else:
        translated["safe_regex"] = {"regex": match.uri.regex}

    headers = [{"name": name, **_value_match(value)} for name, value in match.headers.items()]
    for name, value in match.without_headers.items():
        matcher = {"name": name, **_value_match(value), "invert_match": True}
        # A missing header has no value, so it does not have this one.
        headers.append(matcher if "present_match" in matcher else {**matcher, "treat_missing_header_as_empty": True})
    if match.method is not None:
        headers.append({"name": ":method", **_value_match(match.method)})
    translated["headers"] = headers
    translated["query_parameters"] = [
        {"name": name, **_value_match(value)} for name, value in match.query_params.items()
    ]
    return translated


def _value_match(value: StringMatch) -> Json:
    if value.exact is not None:
        return {"string_match": {"exact": value.exact}}
    if value.prefix is not None:
        return {"string_match": {"prefix": value.prefix}}
    if value.regex == "*":  # not a regular expression: Istio's word for "present"
        return {"present_match": True}
    return {"string_match": {"safe_regex": {"regex": value.regex}}}


def _headers_to_add(operations: HeaderOperations) -> list[Json]:
    return [
        {"header": {"key": name, "value": value}, "append_action": action}
        for action, headers in (
            ("OVERWRITE_IF_EXISTS_OR_ADD", operations.set),
            ("APPEND_IF_EXISTS_OR_ADD", operations.add),
        )
        for name, value in headers.items()
    ]


def _retry_policy(retries: Retries) -> Json:
    default = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    conditions = (retries.retry_on or default).split(",")
    statuses = [int(condition) for condition in conditions if condition.isdigit()]
    names = [condition for condition in conditions if not condition.isdigit()]
    if statuses and "retriable-status-codes" not in names:
        names.append("retriable-status-codes")
    policy: Json = {
        "num_retries": retries.attempts,
        "retry_on": ",".join(names),
        "retriable_status_codes": statuses,
        # Another replica is asked; only when five picks in a row hit one that was asked already, that one again.
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": typed("retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
    }
    if retries.per_try_timeout:
        policy["per_try_timeout"] = duration(retries.per_try_timeout)
    if retries.backoff:
        policy["retry_back_off"] = {"base_interval": duration(retries.backoff)}
    return policy


def _redirect(redirect: Redirect) -> Json:
    names = {
        301: "MOVED_PERMANENTLY",
        302: "FOUND",
        303: "SEE_OTHER",
        307: "TEMPORARY_REDIRECT",
        308: "PERMANENT_REDIRECT",
    }
    translated: Json = {"response_code": names[redirect.redirect_code]}
    if redirect.uri:
        translated["path_redirect"] = redirect.uri
    if redirect.authority:
        translated["host_redirect"] = redirect.authority
    if redirect.scheme:
        translated["scheme_redirect"] = redirect.scheme
    return translated


def _fault(fault: Fault) -> Json:
    settings: Json = {}
    if fault.abort:
        settings["abort"] = {
            "http_status": fault.abort.http_status,
            "percentage": _fraction(fault.abort.percentage),
        }
    if fault.delay:
        settings["delay"] = {
            "fixed_delay": duration(fault.delay.fixed_delay),
            "percentage": _fraction(fault.delay.percentage),
        }
    return typed("filters.http.fault.v3.HTTPFault", **settings)


def _fraction(percentage: Percentage) -> Json:
    return {"numerator": round(percentage.value * 10_000), "denominator": "MILLION"}
