"""The description of metrics in docs/observability.md."""

import re
from collections.abc import Iterable

from tests.observability.promtool import ROOT


def own_metrics(names: Iterable[str]) -> set[str]:
    """The metrics to which these names belong, without those of every Python program and of Prometheus itself."""
    metrics = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    return {name for name in metrics if not re.match(r"process_|python_|scrape_|up$|slo:|ALERTS", name)}


def undescribed(metrics: Iterable[str]) -> list[str]:
    """The metrics that the description does not name."""
    described = (ROOT / "docs" / "observability.md").read_text()
    return [name for name in sorted(metrics) if f"`{name}`" not in described]
