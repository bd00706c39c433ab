"""Finds the rule that Envoy refuses.

Most of such rules are refused when they are read. What only Envoy can judge, such as the names of its commands in a
header's value, and its own configuration in an EnvoyFilter, is found here, by asking it about a part of the rules.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from workbench.ingress.envoyfilter import HttpRoutePatch
from workbench.ingress.istio import Headers, HttpRoute
from workbench.ingress.istio_destination import DestinationRuleSpec, Subset
from workbench.ingress.kustomization import Place
from workbench.ingress.rule_files import IngressRuleError
from workbench.ingress.rules import IngressRules, PlacedPatch

Refuses = Callable[[IngressRules], Awaitable[str | None]]
"""Asks Envoy: returns its words if it refuses the rules, and None if it accepts them."""

_ANSWER = HttpRoute.model_validate({"directResponse": {"status": 200}})  # a route that Envoy accepts
_OPTIONAL = (
    "match",
    "rewrite",
    "headers",
    "cors_policy",
    "timeout",
    "retries",
)  # fields without which a route is still one


async def refused_rule(rules: IngressRules, refuses: Refuses) -> IngressRuleError | None:
    """None if Envoy accepts all of the rules, or not even none of them: then its error is about something else."""
    words = await refuses(rules)
    if words is None or await refuses(_first(0, rules)):
        return None
    # Envoy accepts the first `accepted` rules and refuses the first `refused`: because of one of those in between.
    places = _places(rules)
    accepted, refused = 0, len(places)
    while refused - accepted > 1:
        middle = (accepted + refused) // 2
        if said := await refuses(_first(middle, rules)):
            refused, words = middle, said
        else:
            accepted = middle
    place = places[accepted]
    field = place.field
    if place in rules.route_places:
        field += await _field_of_last_route(_first(refused, rules), refuses)
    return IngressRuleError(place.file, field, f"Envoy refuses it: {words}")


def _places(rules: IngressRules) -> list[Place]:
    """The places of all rules, in an order in which those that others need come first."""
    servers = rules.gateway.spec.servers
    return [
        Place(rules.gateway_file, f"spec.servers[{servers.index(rules.server)}].hosts"),
        Place(rules.destination_rule_file, "spec"),
        *rules.route_places,
        *(Place(placed.file, "spec") for placed in rules.policies),
        *(Place(patch.file, patch.field) for patch in _patches(rules)),
    ]


def _first(count: int, rules: IngressRules) -> IngressRules:
    """Rules that are the first `count` of these, with the least that Envoy needs in place of the others."""
    gateway, destination_rule = rules.gateway, rules.destination_rule
    if count < 1:
        server = rules.server.model_copy(update={"hosts": ["*"]})
        spec = gateway.spec.model_copy(update={"servers": [server]})
        gateway = gateway.model_copy(update={"spec": spec})
    if count < 2:
        subsets = [Subset(name=subset.name) for subset in destination_rule.spec.subsets]
        bare = DestinationRuleSpec(host=destination_rule.spec.host, subsets=subsets)
        destination_rule = destination_rule.model_copy(update={"spec": bare})
    routes = rules.virtual_service.spec.http
    policies = max(0, count - 2 - len(routes))
    patches = max(0, policies - len(rules.policies))
    return replace(
        _with_routes(rules, *routes[: max(0, count - 2)]),
        gateway=gateway,
        destination_rule=destination_rule,
        policies=rules.policies[:policies],
        patches=_patches(rules)[:patches],
    )


def _patches(rules: IngressRules) -> list[PlacedPatch]:
    """Filters before the routes that have settings for them."""
    return sorted(rules.patches, key=lambda placed: isinstance(placed.patch, HttpRoutePatch))


def _with_routes(rules: IngressRules, *routes: HttpRoute) -> IngressRules:
    spec = rules.virtual_service.spec.model_copy(update={"http": list(routes) or [_ANSWER]})
    return replace(rules, virtual_service=rules.virtual_service.model_copy(update={"spec": spec}))


async def _field_of_last_route(rules: IngressRules, refuses: Refuses) -> str:
    """Which field of the last route Envoy refuses; nothing if it is not one field alone."""
    route = rules.virtual_service.spec.http[-1]
    places = {".headers": route.headers} | {
        f".route[{index}].headers": to.headers for index, to in enumerate(route.route)
    }
    for place, all_headers in places.items():
        for name, headers in _headers_one_by_one(all_headers):
            if await refuses(_with_routes(rules, _ANSWER.model_copy(update={"headers": headers}))):
                return f"{place}.{name}"
    for name in (name for name in _OPTIONAL if name in route.model_fields_set):
        field = HttpRoute.model_fields[name]
        without = route.model_copy(update={name: field.get_default()})
        if not await refuses(_with_routes(rules, without)):
            return f".{field.alias}"
    return ""


def _headers_one_by_one(headers: Headers) -> Iterator[tuple[str, Headers]]:
    for direction in ("request", "response"):
        operations = getattr(headers, direction)
        for operation in ("set", "add"):
            for name, value in getattr(operations, operation).items():
                alone = type(operations)(**{operation: {name: value}})
                yield f"{direction}.{operation}.{name}", Headers(**{direction: alone})
