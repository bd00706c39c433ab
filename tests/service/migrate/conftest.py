"""A folder of migrations for each test."""

from pathlib import Path

import pytest

from tests.service.migrate.folders import FILES, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two migrations."""
    write(tmp_path, FILES)
    return tmp_path
