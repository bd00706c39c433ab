"""AuthorizationPolicies to Envoy's filters that decide who may do what, with the semantics of Istio.

A request that a DENY policy matches is refused. If there are ALLOW policies, so is one that none of them matches. The
answer of Envoy is 403.
"""

from collections.abc import Callable, Sequence

from workbench.ingress.authentication import FILTER as AUTHENTICATION
from workbench.ingress.authentication import PAYLOAD
from workbench.ingress.envoy_json import Json, typed
from workbench.ingress.istio_security import AuthorizationPolicy, Condition, Operation, Rule, Source

_ANY: Json = {"any": True}
_NEVER: Json = {"permissions": [{"not_rule": _ANY}], "principals": [{"not_id": _ANY}]}
_PRESENT: Json = {"safe_regex": {"regex": ".+"}}


def rbac_filters(policies: Sequence[AuthorizationPolicy]) -> list[Json]:
    """Up to two filters; DENY comes first."""
    filters = []
    for action in ("DENY", "ALLOW"):
        if chosen := [policy for policy in policies if policy.spec.action == action]:
            rules = {name: rule for policy in chosen for name, rule in _rules(policy).items()}
            config = typed("filters.http.rbac.v3.RBAC", rules={"action": action, "policies": rules})
            filters.append({"name": "envoy.filters.http.rbac", "typed_config": config})
    return filters


def _rules(policy: AuthorizationPolicy) -> dict[str, Json]:
    """By the names that Istio gives them, which are in the access log."""
    rules = [_rule(rule) for rule in policy.spec.rules] or [_NEVER]
    name = f"ns[{policy.metadata.namespace}]-policy[{policy.metadata.name}]"
    return {f"{name}-rule[{index}]": rule for index, rule in enumerate(rules)}


def _rule(rule: Rule) -> Json:
    conditions = [principal for condition in rule.conditions for principal in _condition(condition)]
    operations: list[list[Json]] = [_operation(to.operation) for to in rule.operations] or [[]]
    sources: list[list[Json]] = [_source(entry.source) for entry in rule.sources] or [[]]
    return {
        "permissions": [{"and_rules": {"rules": operation or [_ANY]}} for operation in operations],
        "principals": [{"and_ids": {"ids": [*source, *conditions] or [_ANY]}} for source in sources],
    }


def _operation(operation: Operation) -> list[Json]:
    return [
        *_permissions(_host, operation.hosts, operation.not_hosts),
        *_permissions(_method, operation.methods, operation.not_methods),
        *_permissions(_path, operation.paths, operation.not_paths),
    ]


def _permissions(one: Callable[[str], Json], values: Sequence[str], not_values: Sequence[str]) -> list[Json]:
    wanted, unwanted = ({"or_rules": {"rules": [one(value) for value in each]}} for each in (values, not_values))
    return ([wanted] if values else []) + ([{"not_rule": unwanted}] if not_values else [])


def _host(value: str) -> Json:
    return {"header": _header(":authority", value, ignore_case=True)}


def _method(value: str) -> Json:
    return {"header": _header(":method", value)}


def _path(value: str) -> Json:
    """Compared without the query, after `..` is resolved."""
    return {"url_path": {"path": _string(value)}}


def _source(source: Source) -> list[Json]:
    return _principals(_by_principal, source.request_principals, source.not_request_principals)


def _condition(condition: Condition) -> list[Json]:
    if condition.header:

        def by_header(values: Sequence[str]) -> Json:
            return {"or_ids": {"ids": [{"header": _header(condition.header, value)} for value in values]}}

        return _principals(by_header, condition.values, condition.not_values)
    if condition.key == "request.auth.principal":
        return _principals(_by_principal, condition.values, condition.not_values)
    path = condition.claim or {"request.auth.audiences": ["aud"], "request.auth.presenter": ["azp"]}[condition.key]

    def by_claim(values: Sequence[str]) -> Json:
        """The claim, or an item of it if it is a list."""
        matchers = [{"string_match": _string(value)} for value in values]
        value = matchers[0] if len(matchers) == 1 else {"or_match": {"value_matchers": matchers}}
        return _claim(path, {"or_match": {"value_matchers": [{"list_match": {"one_of": value}}, value]}})

    return _principals(by_claim, condition.values, condition.not_values)


def _principals(
    some: Callable[[Sequence[str]], Json], values: Sequence[str], not_values: Sequence[str]
) -> list[Json]:
    return ([some(values)] if values else []) + ([{"not_id": some(not_values)}] if not_values else [])


def _by_principal(values: Sequence[str]) -> Json:
    """Written ISSUER/SUBJECT. Istio divides it at the last slash, since an issuer may be a URL."""
    return {"or_ids": {"ids": [_principal(value) for value in values]}}


def _principal(value: str) -> Json:
    issuer, slash, subject = value.rpartition("/")
    if slash:
        matchers = _string(issuer), _string(subject)
    elif value.startswith("*"):
        matchers = _PRESENT, _string(value)
    elif value.endswith("*"):
        matchers = _string(value), _PRESENT
    else:  # no subject: matches only a token whose subject is empty
        matchers = {"exact": value}, {"exact": ""}
    claims = [
        _claim([name], {"string_match": matcher}) for name, matcher in zip(("iss", "sub"), matchers, strict=True)
    ]
    return {"and_ids": {"ids": claims}}


def _claim(path: Sequence[str], value: Json) -> Json:
    keys = [{"key": key} for key in (PAYLOAD, *path)]
    # Istio writes `metadata`, which means the same, but Envoy warns of it.
    return {"sourced_metadata": {"metadata_matcher": {"filter": AUTHENTICATION, "path": keys, "value": value}}}


def _header(name: str, value: str, *, ignore_case: bool = False) -> Json:
    if value == "*":
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": {**_string(value), "ignore_case": ignore_case}}


def _string(value: str) -> Json:
    if value == "*":
        return _PRESENT
    if value.startswith("*"):
        return {"suffix": value[1:]}
    if value.endswith("*"):
        return {"prefix": value[:-1]}
    return {"exact": value}
