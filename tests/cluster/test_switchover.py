"""`make switchover`, with the kubectl of kubectl.py and a real standby, which stands for both."""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from pathlib import Path

import asyncpg
import pytest

from cluster import streaming
from tests.cluster.fake import Fake
from tests.k8s.objects import find
from tests.k8s.project import Object
from tests.service.standby import standby_of
from tests.waiting import eventually
from workbench.parts.postgres import SUPERUSER, Postgres

HEALTHY = {"phase": "Cluster in healthy state"}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
ARCHIVE = "echo %f >> asked; exit 1"
UNREADY = {"conditions": [{"type": "Ready", "status": "False"}]}


@pytest.fixture
def three(fake: Fake, cluster: Object) -> Fake:
    """postgres-1 is the primary. The node of postgres-2 is cordoned."""
    nodes = [{"kind": "Node", "metadata": {"name": name}, "spec": {}} for name in ("a", "b", "c")]
    nodes[1]["spec"] = {"unschedulable": True}
    pods = [_instance(number, node) for number, node in enumerate("abc", start=1)]
    others = [item for item in fake.objects() if item["kind"] not in ("Pod", "Cluster")]
    fake.set(objects=[*others, *nodes, *pods, cluster | {"status": cluster["status"] | HEALTHY}])
    return fake


@pytest.fixture
async def standby(archiving: Postgres, new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    """It streams, and writes to the file `asked` what it looks for in the archive, where nothing is."""
    data = new_data()
    folder = data.parent / f"{data.name}-standby"
    folder.mkdir()
    async with standby_of(archiving, folder) as standby:
        with (standby.pgdata / "postgresql.conf").open("a") as file:
            file.write(f"restore_command = '{ARCHIVE}'\nwal_retrieve_retry_interval = 3s\n")
        await standby.restart()

        async def streams() -> bool:
            return await value(standby, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == 1

        await eventually(streams, "the standby streams")
        asked(standby).unlink()
        yield standby


async def value(postgres: Postgres, statement: str) -> object:
    connection = await asyncpg.connect(postgres.url(SUPERUSER))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def asked(standby: Postgres) -> Path:
    return standby.pgdata / "asked"


async def test_a_standby_on_a_node_that_takes_pods_becomes_the_primary_and_the_service_leads_to_it(
    three: Fake, standby: Postgres
) -> None:
    done = three.run(standby, "cluster.switchover")

    assert (done.returncode, done.stderr) == (0, "")
    status = three.find("Cluster", "postgres")["status"]
    assert (status["targetPrimary"], status["currentPrimary"]) == ("postgres-3", "postgres-3")
    selector = three.find("Service", "postgres")["spec"]["selector"]
    assert selector.items() <= three.find("Pod", "postgres-3")["metadata"]["labels"].items()
    assert "postgres-3 is the primary" in done.stdout
    assert "postgres-1" not in three.names("Pod"), "it may be one that never gives way by itself"


def test_a_standby_can_be_named(three: Fake, standby: Postgres) -> None:
    assert three.run(standby, "cluster.switchover", TO="postgres-2").returncode == 0

    assert three.find("Cluster", "postgres")["status"]["currentPrimary"] == "postgres-2"


async def test_the_archive_is_not_asked_meanwhile_but_again_afterwards(three: Fake, standby: Postgres) -> None:
    assert three.run(standby, "cluster.switchover").returncode == 0

    assert await value(standby, "SELECT NOT pg_is_in_recovery()")
    assert not asked(standby).exists()
    assert await value(standby, "SHOW restore_command") == ARCHIVE
    assert await value(standby, "SHOW wal_retrieve_retry_interval") == "3s"


async def test_after_a_command_that_was_killed_the_archive_is_asked_again(standby: Postgres, tmp_path: Path) -> None:
    script = tmp_path / "only.sql"
    script.write_text(streaming.only(lasts=-1))
    await standby.psql(script)

    assert await value(standby, "SELECT pg_promote()")

    assert "00000002.history" in asked(standby).read_text()


async def test_a_standby_that_does_not_stream_takes_over_from_nobody(three: Fake, archiving: Postgres) -> None:
    done = three.run(archiving, "cluster.switchover")

    assert done.returncode == 1
    assert "postgres-3 does not stream from postgres-1" in done.stderr
    assert "targetPrimary" not in three.find("Cluster", "postgres")["status"]


@pytest.mark.parametrize("named", ["postgres-1", "postgres-2", "postgres-9"])
def test_only_a_standby_that_is_ready_takes_over(three: Fake, named: str) -> None:
    objects = three.objects()
    find(objects, "Pod", "postgres-2")["status"] = UNREADY
    three.set(objects=objects)

    done = three.run(None, "cluster.switchover", TO=named)

    assert done.returncode == 1
    assert f"TO={named} cannot take over: the standbys of postgres that are ready: postgres-3" in done.stderr
    assert "targetPrimary" not in three.find("Cluster", "postgres")["status"]


def test_without_a_standby_that_is_ready_nothing_changes(three: Fake) -> None:
    objects = three.objects()
    for name in ("postgres-2", "postgres-3"):
        find(objects, "Pod", name)["status"] = UNREADY
    three.set(objects=objects)

    done = three.run(None, "cluster.switchover")

    assert done.returncode == 1
    assert "no standby of postgres is ready" in done.stderr
    assert "targetPrimary" not in three.find("Cluster", "postgres")["status"]


def test_a_cluster_that_is_busy_is_left_alone(three: Fake) -> None:
    objects = three.objects()
    find(objects, "Cluster", "postgres")["status"]["phase"] = "Failing over"
    three.set(objects=objects)

    done = three.run(None, "cluster.switchover")

    assert done.returncode == 1
    assert "postgres is busy (Failing over)" in done.stderr
    assert "targetPrimary" not in three.find("Cluster", "postgres")["status"]


def test_a_promotion_that_does_not_end_is_an_error_and_moves_no_client(three: Fake, standby: Postgres) -> None:
    before = deepcopy(three.find("Pod", "postgres-3"))
    three.set(refused=["promotion"])

    done = three.run(standby, "cluster.switchover")

    assert done.returncode == 1
    assert "postgres-3 is not the primary after " in done.stderr
    assert "`kubectl describe cluster postgres -n " in done.stderr
    assert three.find("Pod", "postgres-3") == before


def test_an_error_of_the_api_server_is_passed_on(three: Fake, standby: Postgres) -> None:
    three.set(refused=["deletion"])

    done = three.run(standby, "cluster.switchover")

    assert done.returncode == 1
    assert done.stderr.startswith("switchover: DELETE /api/v1/namespaces/")
    assert done.stderr.endswith("/pods/postgres-1: pods is forbidden\n")


def test_an_error_of_kubectl_is_passed_on(three: Fake, standby: Postgres) -> None:
    three.set(refused=["proxy"])

    done = three.run(standby, "cluster.switchover")

    assert done.returncode == 1
    assert "kubectl proxy: error: proxy is refused" in done.stderr


def _instance(number: int, node: str) -> Object:
    labels = {"cnpg.io/cluster": "postgres", "cnpg.io/podRole": "instance"}
    labels["cnpg.io/instanceRole"] = "primary" if number == 1 else "replica"
    metadata = {"name": f"postgres-{number}", "labels": labels}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}, "status": READY}
