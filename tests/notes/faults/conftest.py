"""The workbench of the service with notes, into which faults are injected."""

import pytest

from tests.faults.dumps import empty as empty
from tests.faults.hostile import target as target
from tests.faults.site import Site
from tests.notes.faults.faults import NOTES
from workbench.stack import Stack


@pytest.fixture(scope="package")
def workbench(stack: Stack) -> Site:
    """The workbench of all tests. Each fault leaves it as it was."""
    return Site(stack, NOTES.collection)
