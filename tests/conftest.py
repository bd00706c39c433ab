"""One workbench for the whole session, on free ports, beside whatever a developer has running."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from workbench.console import Console
from workbench.options import StackOptions
from workbench.stack import Stack


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Two replicas behind Envoy. Tests that stop a part start it again."""
    folder: Path = tmp_path_factory.mktemp("stack")
    with (folder / "log").open("w") as log:
        async with Stack(StackOptions(data=folder / "data", replicas=2), Console(log)) as stack:
            yield stack


@pytest.fixture(scope="session")
def ingress_url(request: pytest.FixtureRequest) -> str:
    """Where the tests of tests/ingress send their requests: INGRESS_URL, or a workbench of this session."""
    url = os.environ.get("INGRESS_URL")
    if url:
        return url.rstrip("/")
    stack: Stack = request.getfixturevalue("stack")
    return stack.ingress_url
