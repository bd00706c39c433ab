import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from adoption.git import Repository
from tests.adoption.adopt.copies import ENVIRONMENT, adopt, clone, publish


@pytest.fixture(scope="package", autouse=True)
def of_nobody() -> Iterator[None]:
    """Git in these tests does not depend on the configuration of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="package")
def published(of_nobody: None, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A part of the project in a repository that nobody changes."""
    return publish(tmp_path_factory.mktemp("published"), whole=False)


@pytest.fixture
def project(published: Repository, tmp_path: Path) -> Repository:
    """A clone of the project, before its adoption."""
    return clone(published, tmp_path / "project")


@pytest.fixture(scope="package")
def both(published: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `upstream` and `harbor`. They are made once: each test gets copies at the same path."""
    folder = tmp_path_factory.mktemp("both")
    upstream = clone(published, folder / "now" / "upstream")
    done = adopt(clone(upstream, folder / "now" / "harbor"), NAME="harbor")
    assert done.returncode == 0, done.stderr
    (folder / "now").rename(folder / "first")
    return folder


@pytest.fixture
def upstream(both: Path) -> Iterator[Repository]:
    """The project in a repository that gets a second version."""
    shutil.copytree(both / "first", both / "now", symlinks=True)
    yield Repository(both / "now" / "upstream")
    shutil.rmtree(both / "now")


@pytest.fixture
def harbor(upstream: Repository) -> Repository:
    """A copy of it that is adopted under the name harbor."""
    return Repository(upstream.root.parent / "harbor")
