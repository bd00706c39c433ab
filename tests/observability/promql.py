"""The metrics and labels that a PromQL expression names. promtool checks whether the expression is valid."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from workbench.project import NAME

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<number>\d[\w.]*)|(?P<name>[a-zA-Z_:][\w:]*)"""
    r"""|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^=<>(){},])|(?P<space>\s+)"""
)
_LABELS_FOLLOW = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_OPERATORS = {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"}
# The values of the dashboards' variables when everything is selected.
_VARIABLES = {"$__rate_interval": "1m", "$namespace": ".*", "$instance": ".*", "$service": NAME}


@dataclass
class Named:
    metrics: dict[str, set[str]] = field(default_factory=dict)
    """Each metric, with the labels in its selectors."""
    labels: set[str] = field(default_factory=set)
    """The labels by which results are grouped or joined, of any metric."""


def filled_in(expression: str) -> str:
    """The expression with the values of Grafana's variables. Raises ValueError for an unknown variable."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    if "$" in expression:
        raise ValueError(f"{expression}: unknown variable")
    return expression


def named(expression: str) -> Named:
    """Raises ValueError for syntax that this does not support, such as a selector without a name."""
    result = Named()
    tokens = list(_tokens(expression))
    index = 0

    def following(offset: int = 1) -> str:
        return tokens[index + offset][1] if index + offset < len(tokens) else ""

    while index < len(tokens):
        kind, text = tokens[index]
        if kind == "sign" and text == "{":
            raise ValueError(f"{expression}: a selector without the name of a metric")
        if kind == "name" and text in _LABELS_FOLLOW:
            if following() == "(":
                end = next(n for n in range(index, len(tokens)) if tokens[n][1] == ")")
                result.labels |= {token for sort, token in tokens[index + 2 : end] if sort == "name"}
                index = end
        elif kind == "name" and following() == "(":
            pass  # a function or an aggregation
        elif kind == "name" and text not in _OPERATORS and not (following() in _LABELS_FOLLOW and _aggregates(text)):
            asked = result.metrics.setdefault(text, set())
            if following() == "{":
                end = next(n for n in range(index, len(tokens)) if tokens[n][1] == "}")
                asked |= {token for sort, token in tokens[index + 2 : end] if sort == "name"}
                index = end
        index += 1
    return result


def _aggregates(word: str) -> bool:
    return word in {"sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "stddev", "quantile"}


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(expression):
        found = _TOKEN.match(expression, position)
        if found is None or found.lastgroup is None:
            raise ValueError(f"{expression}: cannot parse {expression[position:]!r}")
        if found.lastgroup != "space":
            yield found.lastgroup, found[0]
        position = found.end()
