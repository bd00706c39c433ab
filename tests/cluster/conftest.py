from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from service.migrate.apply import run as migrate
from service.settings import load
from tests.cluster import kubectl
from tests.cluster.fake import Fake
from tests.k8s.conftest import dev, other_schemas, production, with_users, without_users  # noqa: F401 - fixtures
from tests.k8s.objects import find
from tests.k8s.project import K8S, Object
from workbench.console import Console
from workbench.machine.folders import run_folder
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import Postgres

FIRST = "2026-11-27T02:16:00Z"


@pytest.fixture
async def archiving(new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    """A PostgreSQL that archives. It stands for that of all Clusters."""
    data, settings = new_data(), {**NOT_DURABLE, "archive_mode": "on", "archive_command": "true"}
    with (data.parent / f"{data.name}.log").open("w") as log, run_folder(data) as sockets:
        async with await open_postgres(data, sockets, Console(log), settings) as postgres:
            await migrate(load({"SERVICE_DATABASE_OWNER_URL": postgres.url("app_owner")}))
            yield postgres


@pytest.fixture
def cluster(production: list[Object]) -> Object:  # noqa: F811 - the fixture
    return deepcopy(find(production, "Cluster", "postgres")) | {
        "status": kubectl.READY | {"currentPrimary": "postgres-1"}
    }


@pytest.fixture
def fake(cluster: Object, production: list[Object], tmp_path: Path) -> Fake:  # noqa: F811 - the fixture
    services = [deepcopy(find(production, "Service", name)) for name in ("postgres", "postgres-standbys")]
    budget = deepcopy(find(production, "PodDisruptionBudget", "postgres-instances"))
    schedule = deepcopy(find(production, "ScheduledBackup", "postgres"))
    window = {"postgres": {"firstRecoverabilityPoint": FIRST, "lastSuccessfulBackupTime": FIRST}}
    store = {
        "kind": "ObjectStore",
        "metadata": {"name": "postgres-archive"},
        "status": {"serverRecoveryWindow": window},
    }
    pooler = yaml.safe_load((K8S / "components" / "postgres-pooler" / "pooler.yaml").read_text())
    return Fake(tmp_path, [cluster, kubectl.primary("postgres"), *services, budget, schedule, pooler, store])
