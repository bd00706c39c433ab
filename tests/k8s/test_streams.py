"""The rules of the ingress and of the objectives know the streams that the domains declare, and take nothing for one.

Both know streams by their paths. The service checks the same convention when it starts: service/web/streams.py.
"""

import re

import pytest
import yaml

from service.web.endpoint import Kind
from service.web.streams import STREAMS
from tests.k8s.project import K8S, Object
from tests.service.routes import Route, declared

ROUTES = declared()
STREAM = "streams"
"""The subset of the DestinationRule to which streams are sent."""


def ingress_route(method: str, path: str) -> Object:
    """The first route of the VirtualService that matches a request without headers."""
    rules = yaml.safe_load((K8S / "istio" / "virtualservice.yaml").read_text())["spec"]["http"]
    given = {"method": method, "uri": path}

    def matches(match: Object) -> bool:
        return "headers" not in match and all(value_matches(match[name], given[name]) for name in match)

    return next(rule for rule in rules if any(map(matches, rule.get("match", [{}]))))


def value_matches(expected: dict[str, str], value: str) -> bool:
    [(how, text)] = expected.items()
    matched = {"exact": value == text, "prefix": value.startswith(text), "regex": bool(re.fullmatch(text, value))}
    return matched[how]


def lasts(rule: Object) -> bool:
    """Whether a route of the VirtualService is for streams: without a timeout, and with limits of its own."""
    to_streams = bool(rule["route"][0]["destination"].get("subset") == STREAM)
    assert to_streams is ("timeout" not in rule), rule["name"]
    return to_streams


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_the_ingress_gives_each_route_that_is_no_stream_a_timeout(route: Route) -> None:
    kind = route.endpoint.kind if route.endpoint else Kind.REQUEST
    rule = ingress_route(route.method, route.path())

    assert lasts(rule) is (kind is not Kind.REQUEST), (
        f"{route} is declared as Kind.{kind.name}, and the ingress sends it to the route {rule['name']!r}: let "
        "k8s/istio/virtualservice.yaml and service/web/streams.py agree on the paths of streams"
    )


def test_each_kind_of_stream_is_tried() -> None:
    """By the routes of the probe domain, and whatever else there is."""
    declared_streams = {
        (route.method, route.template.rpartition("/")[2])
        for route in ROUTES
        if route.endpoint and route.endpoint.kind is not Kind.REQUEST
    }
    assert declared_streams == STREAMS.keys()


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_the_latency_objective_leaves_out_the_bulk_transfers(route: Route) -> None:
    """Event streams have no duration at all, so it does not matter whether they are left out."""
    kind = route.endpoint.kind if route.endpoint else Kind.REQUEST
    rules = (K8S / "observability" / "prometheus" / "rules" / "slo.yaml").read_text()
    selectors = re.findall(r"http_request_duration_seconds_\w+{(.*?)}", rules, re.DOTALL)
    assert selectors

    for selector in selectors:
        [expression] = re.findall(r'route!~"(.*?)"', selector)
        assert bool(re.fullmatch(expression, route.template)) is (kind is Kind.BULK), (
            f"{route} is declared as Kind.{kind.name}: let k8s/observability/prometheus/rules/slo.yaml and "
            "service/web/streams.py agree on the paths of streams"
        )
