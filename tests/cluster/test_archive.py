"""`make backup` and `make restore` with WHERE=production, with the kubectl of kubectl.py, on a real PostgreSQL."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from cluster.archive import moment, restored
from cluster.kubectl import ClusterError
from tests.cluster.fake import Fake
from tests.k8s.objects import find
from tests.k8s.project import Object
from tests.k8s.schemas import check_custom
from workbench.parts.postgres import SUPERUSER, Postgres

AT = "2026-11-28 01:02:03Z"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_a_restored_cluster_is_the_old_one_with_another_beginning(
    cluster: Object, other_schemas: dict[tuple[str, str], Object]
) -> None:
    new = restored(cluster, "postgres-2", moment(AT, NOW))

    check_custom(new, other_schemas)
    recovery = new["spec"]["bootstrap"]["recovery"]
    assert recovery["recoveryTarget"] == {"targetTime": "2026-11-28T01:02:03+00:00"}
    assert (recovery["database"], recovery["owner"]) == ("app", "app_owner")
    [source] = new["spec"]["externalClusters"]
    assert (source["name"], source["plugin"]["parameters"]["serverName"]) == (recovery["source"], "postgres")
    assert "serverName" not in new["spec"]["plugins"][0]["parameters"], (
        "it would write into the archive of the old one"
    )
    for field in new["spec"].keys() - {"bootstrap", "externalClusters", "topologySpreadConstraints"}:
        assert new["spec"][field] == cluster["spec"][field], field
    assert new["spec"]["serviceAccountName"] == "postgres", "whom the policies of the mesh allow"


def test_a_restored_cluster_can_be_restored_again(cluster: Object) -> None:
    second = restored(restored(cluster, "postgres-2", moment(AT, NOW)), "postgres-3", moment(AT, NOW))

    [source] = second["spec"]["externalClusters"]
    assert source["plugin"]["parameters"]["serverName"] == "postgres-2"
    spread = second["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]
    assert spread["cnpg.io/cluster"] == "postgres-3"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("yesterday", "AT=yesterday is not a moment: write it as in "),
        ("2026-11-28 10:00:00", "has no time zone: write UTC as in "),
        ("2026-11-28 12:00:01Z", "is in the future: it is 2026-11-28 12:00:00Z now"),
    ],
)
def test_what_is_no_moment_of_the_past_is_refused(text: str, error: str) -> None:
    with pytest.raises(ClusterError, match=error):
        moment(text, NOW)


def test_a_moment_may_have_another_time_zone() -> None:
    assert moment("2026-11-28T12:30:00+02:00", NOW) == NOW - timedelta(hours=1, minutes=30)


async def test_a_restore_lets_the_new_cluster_serve(fake: Fake, archiving: Postgres) -> None:
    connection = await asyncpg.connect(archiving.url("app_owner"))
    await connection.execute("CREATE TABLE zz_ships (id uuid PRIMARY KEY, version bigint)")
    await connection.execute("SELECT publish_events('zz_ships')")

    done = fake.run(archiving, "cluster.archive", "restore", AT=AT)

    assert done.returncode == 0, done.stderr
    [_, new] = fake.names("Cluster")
    for service in ("postgres", "postgres-standbys"):
        assert fake.find("Service", service)["spec"]["selector"]["cnpg.io/cluster"] == new
    budget = fake.find("PodDisruptionBudget", "postgres-instances")
    assert budget["spec"]["selector"]["matchLabels"] == {"cnpg.io/cluster": new, "cnpg.io/podRole": "instance"}
    assert fake.find("ScheduledBackup", "postgres")["spec"]["cluster"]["name"] == new
    assert fake.find("Cluster", "postgres")["metadata"]["annotations"] == {"cnpg.io/fencedInstances": '["*"]'}
    assert fake.find("ScheduledBackup", "postgres")["spec"]["immediate"] is True, "the new one has no base backup yet"
    assert fake.find("Pooler", "postgres-pooler")["spec"]["cluster"]["name"] == new
    kinds = await connection.fetch("SELECT DISTINCT kind FROM events WHERE resource = 'zz_ships'")
    assert [row["kind"] for row in kinds] == ["reset"]
    assert ["rollout", "restart", "deployment", "--selector=app.kubernetes.io/component=service"] in fake.calls()
    assert (
        f"`make restore WHERE=production TO=postgres` switches back; what was written since then stays in {new}"
        in (done.stdout)
    )
    await connection.close()


async def test_the_archive_has_everything_before_a_restore_begins(fake: Fake, archiving: Postgres) -> None:
    """And a commit after its moment: without one PostgreSQL does not end the recovery."""
    superuser = await asyncpg.connect(archiving.url(SUPERUSER))
    progress = """
        SELECT archived_count AS files, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS transactions
          FROM pg_stat_archiver
    """
    before = await superuser.fetchrow(progress)

    assert fake.run(archiving, "cluster.archive", "restore", AT=AT).returncode == 0

    verbs = [call[0] for call in fake.calls()]
    assert verbs.index("exec") < verbs.index("apply")
    after = await superuser.fetchrow(progress)
    assert before is not None
    assert after is not None
    assert after["files"] > before["files"]
    assert after["transactions"] > before["transactions"]
    await superuser.close()


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        (
            {"AT": "2026-11-27 02:15:59Z"},
            "is before 2026-11-27 02:16:00Z, the end of the first base backup of postgres",
        ),
        ({"AT": "2126-11-27 02:15:59Z"}, "is in the future"),
        ({"TO": "monday"}, "there is no Cluster monday: there are postgres"),
        ({"TO": "postgres"}, "postgres serves already"),
        ({"TO": "postgres", "AT": AT}, "only one of them is possible"),
    ],
)
async def test_a_restore_that_is_refused_changes_nothing(
    fake: Fake, archiving: Postgres, variables: dict[str, str], error: str
) -> None:
    done = fake.run(archiving, "cluster.archive", "restore", **variables)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert error in done.stderr
    assert not [call for call in fake.calls() if call[0] in ("apply", "patch", "rollout")]


async def test_the_old_cluster_serves_if_the_new_one_cannot(fake: Fake, archiving: Postgres) -> None:
    fake.set(refused=["exec --stdin postgres-2"])  # the pod of the new one, which is called by the day
    done = fake.run(archiving, "cluster.archive", "restore", AT=AT)

    assert done.returncode == 1
    assert "is refused" in done.stderr
    assert fake.find("Cluster", "postgres")["metadata"]["annotations"] == {}
    assert fake.find("Service", "postgres")["spec"]["selector"]["cnpg.io/cluster"] == "postgres"


async def test_a_switch_that_was_interrupted_can_be_repeated(fake: Fake, archiving: Postgres) -> None:
    fake.set(refused=["patch service postgres --type"])
    assert fake.run(archiving, "cluster.archive", "restore", AT=AT).returncode == 1
    [_, new] = fake.names("Cluster")
    fake.set(refused=[])

    done = fake.run(archiving, "cluster.archive", "restore", TO=new)

    assert done.returncode == 0, done.stderr
    for service in ("postgres", "postgres-standbys"):
        assert fake.find("Service", service)["spec"]["selector"]["cnpg.io/cluster"] == new
    assert fake.find("Pooler", "postgres-pooler")["spec"]["cluster"]["name"] == new


async def test_to_names_the_way_back(fake: Fake, archiving: Postgres) -> None:
    fake.run(archiving, "cluster.archive", "restore", AT=AT)
    [_, new] = fake.names("Cluster")

    done = fake.run(archiving, "cluster.archive", "restore", TO="postgres")

    assert done.returncode == 0, done.stderr
    assert fake.find("Service", "postgres")["spec"]["selector"]["cnpg.io/cluster"] == "postgres"
    assert fake.find("Cluster", "postgres")["metadata"]["annotations"] == {}
    assert fake.find("Cluster", new)["metadata"]["annotations"] == {"cnpg.io/fencedInstances": '["*"]'}


async def test_a_recovery_that_fails_is_said(fake: Fake, archiving: Postgres, cluster: Object) -> None:
    broken = deepcopy(cluster)
    broken["metadata"]["name"] = "postgres-2"
    broken["status"] = {"phase": "Setting up primary"}
    failed = {"conditions": [{"type": "Failed", "status": "True"}]}
    labels = {"cnpg.io/cluster": "postgres-2"}
    job = {"kind": "Job", "metadata": {"name": "postgres-2-1-full-recovery", "labels": labels}, "status": failed}
    fake.set(objects=[*fake.objects(), broken, job])

    done = fake.run(archiving, "cluster.archive", "restore", TO="postgres-2")

    assert "restore: postgres-2: Setting up primary\n" in done.stdout
    assert "the job postgres-2-1-full-recovery has failed: `kubectl logs job/" in done.stderr
    assert "annotations" not in fake.find("Cluster", "postgres")["metadata"]


async def test_without_a_moment_it_says_what_can_be_restored(fake: Fake, archiving: Postgres) -> None:
    assert fake.run(archiving, "cluster.archive", "backup").returncode == 0
    done = fake.run(archiving, "cluster.archive", "restore")

    assert done.returncode == 0
    assert "Any moment since 2026-11-27 02:16:00Z can be restored" in done.stdout
    assert f"  completed  2026-11-28T09:01:00Z  {fake.names('Backup')[0]}\n" in done.stdout


async def test_one_postgresql_has_no_archive(fake: Fake, archiving: Postgres, dev: list[Object]) -> None:
    fake.set(objects=[find(dev, "Service", "postgres")])
    for command in ("backup", "restore"):
        done = fake.run(archiving, "cluster.archive", command)
        assert done.returncode == 1
        assert "PostgreSQL is one pod here, without an archive" in done.stderr
