"""docs/production.md says what the pods of production request, each with its sidecar, and what that is together."""

import re

from tests.k8s.objects import describe
from tests.k8s.project import ROOT, Object
from tests.k8s.requests import asked, table_of

TABLE = re.compile(r"<!-- requests -->\n(.*?)<!-- /requests -->", re.DOTALL)


def test_the_table_is_what_the_manifests_request(production: list[Object], every_component: list[Object]) -> None:
    [written] = TABLE.findall((ROOT / "docs" / "production.md").read_text())
    assert written == table_of(production, every_component), (
        "docs/production.md is older than k8s/: put what `.venv/bin/python -m tests.k8s.requests` prints between "
        "<!-- requests --> and <!-- /requests -->"
    )


def test_everything_that_runs_says_what_it_requests(every_component: list[Object]) -> None:
    for item in every_component:
        if found := asked(item, every_component):
            assert found.cpu > 0, describe(item)
            assert found.memory > 0, describe(item)
