"""Every expression of dashboards and rules is valid, names existing metrics, and finds data in a workbench.

The tests read the metrics of a workbench from its Prometheus. Those that it does not have are in metrics.yaml.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.observability.conftest import Observed
from tests.observability.dashboards import FILES, Expression, load, panels, queries, rules, variables
from tests.observability.described import own_metrics, undescribed
from tests.observability.listed import CLUSTER, DOMAIN, TARGET, listed
from tests.observability.promql import Named, filled_in, named
from tests.observability.promtool import RULES, Promtool
from workbench.project import NAME

SHOWN = [query for file in FILES for query in queries(load(file.stem))]
SELECTORS = [
    Expression(f"{file.stem}, variable {name}", selector, frozenset({label}))
    for file in FILES
    for name, selector, label in variables(load(file.stem))
]
ALL = [*SHOWN, *SELECTORS, *rules()]


@pytest.fixture(scope="package")
async def known(measured: Observed) -> Mapping[str, set[str]]:
    """All existing metrics, with their labels."""
    return {
        **listed(*CLUSTER, DOMAIN),
        **await measured.prometheus.labels(),
        "ALERTS": {"alertname", "alertstate", "severity"},
    }


def ids(expressions: list[Expression]) -> list[str]:
    return [expression.where for expression in expressions]


def test_the_expressions_of_dashboards_are_valid(promtool: Promtool, tmp_path: Path) -> None:
    recorded = [
        {"record": f"query:{n}", "expr": filled_in(query.text)} for n, query in enumerate([*SHOWN, *SELECTORS])
    ]
    file = tmp_path / "shown.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": recorded}]}))

    promtool("check", "rules", file)


@pytest.mark.parametrize("expression", ALL, ids=ids(ALL))
def test_an_expression_names_existing_metrics_and_labels(
    expression: Expression, known: Mapping[str, set[str]]
) -> None:
    assert errors(expression, known) == []


def errors(expression: Expression, known: Mapping[str, set[str]]) -> list[str]:
    asked = named(filled_in(expression.text))
    unknown = [f"there is no metric {name}" for name in asked.metrics if name not in known]
    if unknown:
        return unknown
    there = set().union(*(known[name] for name in asked.metrics)) | TARGET
    return [
        f"{name} has no label {label}"
        for name, labels in asked.metrics.items()
        for label in sorted(labels - known[name])
    ] + [
        f"no metric of the expression has the label {label}"
        for label in sorted((asked.labels | expression.shown) - there)
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rate(http_request_total[5m])", "there is no metric http_request_total"),
        ('http_requests_total{code="200"}', "http_requests_total has no label code"),
        ("sum by (path) (http_requests_total)", "no metric of the expression has the label path"),
        (
            'sum(rate(istio_requests_total{reporter="source", status="429"}[1m]))',
            "istio_requests_total has no label status",
        ),
    ],
)
def test_a_wrong_name_is_found(text: str, error: str, known: Mapping[str, set[str]]) -> None:
    assert errors(Expression("", text), known) == [error]


def test_the_names_in_an_expression_are_found() -> None:
    text = """histogram_quantile(0.95, sum by (le) (rate(a_bucket{x="}{", y!~"b|c"}[5m] offset 1h)))
        / on (n) group_left (v) avg_over_time(d:e:f[30m]) > bool 1e3 or (g unless on (i) absent(h))
        or sum(j) by (k)"""

    assert named(text) == Named(
        {"a_bucket": {"x", "y"}, "d:e:f": set(), "g": set(), "h": set(), "j": set()}, {"le", "n", "v", "i", "k"}
    )
    with pytest.raises(ValueError, match="without the name of a metric"):
        named('{job="a"}')
    with pytest.raises(ValueError, match="unknown variable"):
        filled_in("rate(a[$interval])")


def of(query: Expression, *parts: str) -> bool:
    """Whether a query names metrics of these parts of metrics.yaml."""
    return bool(named(filled_in(query.text)).metrics.keys() & listed(*parts).keys())


IN_A_WORKBENCH = [query for query in SHOWN if not of(query, *CLUSTER, DOMAIN)]


def test_a_workbench_has_data_for_these_queries() -> None:
    there = {query.where for query in IN_A_WORKBENCH}

    for name in ("service", "edit-loop"):
        assert {query.where for query in queries(load(name)) if not of(query, DOMAIN)} <= there
    assert len([query for query in queries(load("database")) if query.where in there]) >= 10
    assert len([query for query in queries(load("mesh")) if query.where in there]) >= 10


@pytest.mark.parametrize("query", IN_A_WORKBENCH, ids=ids(IN_A_WORKBENCH))
async def test_a_query_finds_data_in_a_workbench(query: Expression, measured: Observed) -> None:
    assert await measured.prometheus.numbers(filled_in(query.text))


@pytest.mark.parametrize("name", [file.stem for file in FILES])
async def test_each_variable_has_values_in_a_workbench(name: str, measured: Observed) -> None:
    for variable, selector, label in variables(load(name)):
        values = await measured.prometheus.ask(f"/label/{label}/values", **{"match[]": filled_in(selector)})
        assert values, variable


async def test_every_target_is_up_and_every_rule_is_evaluated(measured: Observed) -> None:
    targets = (await measured.prometheus.ask("/targets"))["activeTargets"]
    assert {target["labels"]["job"]: target["health"] for target in targets} == {
        NAME: "up",
        "istio-ingressgateway": "up",
        "prometheus": "up",
    }
    groups = (await measured.prometheus.ask("/rules"))["groups"]
    health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert set(health.values()) == {"ok"}
    assert len(groups) == sum(len(yaml.safe_load(file.read_text())["groups"]) for file in RULES)


async def test_prometheus_keeps_the_exemplars(measured: Observed) -> None:
    """Grafana asks for them to link from a panel to a trace."""
    [query] = [
        target["expr"]
        for panel in panels(load("service"))
        if panel["title"] == "Duration"
        for target in panel["targets"][:1]
    ]

    found = await measured.prometheus.ask("/query_exemplars", query=filled_in(query), start="0", end="9999999999")

    traces = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
    assert traces & {span.trace_id for span in measured.collector.spans}


async def test_every_metric_of_the_service_is_described(measured: Observed) -> None:
    """Including those that have no value yet."""
    text = (await measured.ops.get("/metrics")).text
    own = own_metrics(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))

    assert {"event_subscribers", "reloads_total", "db_rows_expired_total"} <= own
    assert undescribed(own) == []
