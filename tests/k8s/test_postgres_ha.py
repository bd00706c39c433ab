"""k8s/components/postgres-ha: three instances in the place of the one PostgreSQL, which are otherwise the same.

The database that CloudNativePG makes is compared with that of the workbench, both on a real PostgreSQL.
"""

import re
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from service.migrate.apply import run as migrate
from service.settings import load
from tests.k8s import references
from tests.k8s.cloudnativepg import instance_template
from tests.k8s.kustomization import build, without_hashes
from tests.k8s.objects import describe, find, matches, of_kind
from tests.k8s.project import K8S, PRODUCTION, ROOT, Object
from tests.k8s.test_capacity import quantity
from workbench.console import Console
from workbench.machine.folders import run_folder
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres
from workbench.project import NAME

ROLES = (K8S / "postgres" / "roles.sql").read_text()
Connection = asyncpg.Connection


@pytest.fixture(scope="module")
def base() -> list[Object]:
    return build(K8S / "base")


@pytest.fixture(scope="module")
def with_ha() -> list[Object]:
    return build(K8S / "components" / "postgres-ha", build(K8S / "base"))


@pytest.fixture(scope="module")
def cluster(with_ha: list[Object]) -> Object:
    spec: Object = find(with_ha, "Cluster", "postgres")["spec"]
    return spec


@pytest.fixture(scope="module")
def postgres(base: list[Object]) -> Object:
    """The container of the one PostgreSQL."""
    [container] = find(base, "StatefulSet", "postgres")["spec"]["template"]["spec"]["containers"]
    found: Object = container
    return found


def test_it_replaces_the_one_postgresql_and_changes_nothing_else(base: list[Object], with_ha: list[Object]) -> None:
    before, after = without_hashes(base), without_hashes(with_ha)
    gone = {describe(item) for item in before} - {describe(item) for item in after}
    new = {describe(item) for item in after} - {describe(item) for item in before}
    changed = {describe(item) for item in after if item not in before} - new

    assert gone == {
        f"StatefulSet {NAME}/postgres",
        f"ConfigMap {NAME}/postgres-scripts",
        *(f"{kind} {NAME}/postgres-backup" for kind in ("CronJob", "NetworkPolicy", "ServiceAccount")),
    }
    assert new == {
        f"Cluster {NAME}/postgres",
        f"PodDisruptionBudget {NAME}/postgres-instances",
        f"Service {NAME}/postgres-standbys",
    }
    kinds = ("AuthorizationPolicy", "NetworkPolicy", "Service", "ServiceAccount")
    assert changed == {f"Deployment {NAME}/{NAME}", *(f"{kind} {NAME}/postgres" for kind in kinds)}
    service, expected = (find(objects, "Deployment", NAME) for objects in (after, deepcopy(before)))
    [container] = expected["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"]["failureThreshold"] = 15
    assert service == expected


@pytest.mark.parametrize(("service", "roles"), [("postgres", ["primary"]), ("postgres-standbys", ["replica"])])
def test_a_service_has_the_primary_or_the_standbys(with_ha: list[Object], service: str, roles: list[str]) -> None:
    cluster, selector = find(with_ha, "Cluster", "postgres"), find(with_ha, "Service", service)["spec"]["selector"]
    labels = {role: instance_template(cluster, role)["metadata"]["labels"] for role in ("primary", "replica")}

    assert [role for role in labels if matches(selector, labels[role])] == roles


def test_the_instances_can_ask_the_api_server(cluster: Object, with_ha: list[Object]) -> None:
    """By an account that mounts its token, on connections that no sidecar refuses."""
    account = find(with_ha, "ServiceAccount", cluster["serviceAccountName"])
    excluded = cluster["inheritedMetadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"]

    assert account["automountServiceAccountToken"] is True
    assert "443" in excluded.split(",")


def test_it_has_the_same_major_version(cluster: Object, postgres: Object) -> None:
    tags = [image.rpartition(":")[2] for image in (cluster["imageName"], postgres["image"])]
    assert len({tag.split("-")[0] for tag in tags}) == 1, tags


def test_a_write_survives_the_loss_of_one_instance(cluster: Object) -> None:
    synchronous = cluster["postgresql"]["synchronous"]
    standbys = cluster["instances"] - 1

    assert synchronous["dataDurability"] == "required"
    assert synchronous["failoverQuorum"] is True
    assert 1 <= synchronous["number"] < standbys, "with one standby away, writes would wait"


def test_a_crash_is_over_within_half_a_minute(cluster: Object) -> None:
    """As far as settings decide it: until it is seen, and until another instance may take over."""
    probe, lease = cluster["probes"]["readiness"], cluster["primaryLease"]

    assert probe["periodSeconds"] * probe["failureThreshold"] + cluster["failoverDelay"] <= 15
    assert lease["leaseDurationSeconds"] <= 10
    # The webhook's rules.
    assert lease["leaseDurationSeconds"] > lease["renewDeadlineSeconds"] > 1.2 * lease["retryPeriodSeconds"]
    assert cluster["stopDelay"] >= cluster["smartShutdownTimeout"] + 15


def test_the_settings_are_those_of_the_one_postgresql(cluster: Object, postgres: Object) -> None:
    """But for those that belong to another size of memory or volume, or to standbys."""
    one = dict(argument.split("=") for argument in postgres["args"] if "=" in argument)
    three = cluster["postgresql"]["parameters"]
    different = {name for name in one.keys() | three.keys() if one.get(name) != three.get(name)}

    sizes = {"shared_buffers", "effective_cache_size", "maintenance_work_mem", "max_wal_size"}
    assert different == sizes | {"max_slot_wal_keep_size", "hot_standby_feedback", "wal_retrieve_retry_interval"}
    for settings, resources in ((one, postgres["resources"]), (three, cluster["resources"])):
        memory = quantity(resources["limits"]["memory"])
        shared, work = (quantity(settings[name].replace("B", "i")) for name in ("shared_buffers", "work_mem"))
        assert shared == memory / 4
        assert int(settings["max_connections"]) * work < memory
    wal = quantity(three["max_slot_wal_keep_size"].replace("B", "i"))
    assert wal < quantity(cluster["storage"]["size"]) / 4


def test_the_operator_takes_away_nothing_that_the_roles_have(cluster: Object) -> None:
    """It sets the limits and memberships of a managed role to what the Cluster says, or to none."""
    limits = dict(re.findall(r"ROLE (\w+) (?:LOGIN )?CONNECTION LIMIT (\d+)", ROLES))
    memberships = {role: [granted] for granted, role in re.findall(r"GRANT (pg_\w+) TO (\w+)", ROLES)}
    managed = {role["name"]: role for role in cluster["managed"]["roles"]}

    assert {name: str(role["connectionLimit"]) for name, role in managed.items()} == limits
    assert {name: role["inRoles"] for name, role in managed.items() if "inRoles" in role} == memberships
    assert all(role["login"] for role in managed.values())


def initdb_options(cluster: Object) -> set[str]:
    """As the operator passes them to initdb: `buildInitDBFlags` in its pkg/specs/jobs.go."""
    names = {
        "encoding": "encoding",
        "locale": "locale",
        "localeProvider": "locale-provider",
        "builtinLocale": "builtin-locale",
    }
    initdb = cluster["bootstrap"]["initdb"]
    return {f"--{option}={initdb[name]}" for name, option in names.items()}


def test_each_postgresql_of_the_cluster_is_made_with_the_same_locale(cluster: Object, postgres: Object) -> None:
    env = {entry["name"]: entry.get("value") for entry in postgres["env"]}
    options = {option for option in env["POSTGRES_INITDB_ARGS"].split() if not option.startswith("--auth")}

    assert options == initdb_options(cluster)
    assert env["POSTGRES_DB"] == cluster["bootstrap"]["initdb"]["database"]


def test_it_runs_the_same_sql(cluster: Object, with_ha: list[Object]) -> None:
    [reference] = cluster["bootstrap"]["initdb"]["postInitApplicationSQLRefs"]["configMapRefs"]

    assert find(with_ha, "ConfigMap", reference["name"])["data"][reference["key"]] == ROLES


STATE = {
    "database": """
        SELECT datname, pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding,
               datlocprovider::text AS provider, datlocale, datcollate, datctype, datacl::text[] AS acl
          FROM pg_database WHERE datname IN ('app', 'postgres', 'template1')
    """,
    "roles": """
        SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit,
               rolbypassrls, array(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = oid) AS member_of
          FROM pg_roles WHERE rolname !~ '^pg_'
    """,
    "settings": "SELECT setdatabase > 0 AS of_app, setrole::regrole::text AS role, setconfig FROM pg_db_role_setting",
    "schemas": """
        SELECT nspname, nspowner::regrole::text AS owner, nspacl::text[] AS acl
          FROM pg_namespace WHERE nspname !~ '^pg_'
    """,
    "privileges": """
        SELECT defaclrole::regrole::text AS role, defaclobjtype, defaclacl::text[] AS acl FROM pg_default_acl
    """,
}


OF_THE_OPERATOR = {"streaming_replica": ["postgres"], "cnpg_metrics_exporter": ["app", "postgres"]}
"""The operator's own roles, and where they have to connect to."""


async def state(postgres: Postgres) -> dict[str, list[dict[str, Any]]]:
    """What roles.sql decides, without the ids and the operator's roles."""
    connection = await asyncpg.connect(postgres.url(SUPERUSER))
    try:
        rows = {name: await connection.fetch(sql) for name, sql in STATE.items()}
    finally:
        await connection.close()
    found = {name: [dict(row) for row in of_kind] for name, of_kind in rows.items()}
    found["roles"] = [row for row in found["roles"] if row["rolname"] not in OF_THE_OPERATOR]
    for row in found["database"]:
        row["acl"] = [entry for entry in row["acl"] or () if entry.partition("=")[0] not in OF_THE_OPERATOR]
    return {name: sorted(of_kind, key=str) for name, of_kind in found.items()}


@pytest.fixture
async def of_the_operator(
    cluster: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Postgres]:
    """A database made as the operator makes it: `ConfigureNewInstance` in its pkg/management/postgres/initdb.go."""
    initdb = cluster["bootstrap"]["initdb"]

    async def create_database(postgres: Postgres, _script: Path) -> None:
        created = f"CREATE DATABASE {initdb['database']} OWNER {initdb['owner']}"
        for database, *statements in (
            ("postgres", f"CREATE ROLE {initdb['owner']} LOGIN", *initdb["postInitSQL"], created),
            # A file is sent as it is: its statements are one transaction.
            (initdb["database"], 'SET search_path TO "$user", public', *initdb["postInitApplicationSQL"], ROLES),
        ):
            superuser = await asyncpg.connect(postgres.url(SUPERUSER, database))
            for statement in statements:
                await superuser.execute(statement)
            await superuser.close()

    monkeypatch.setattr(Postgres, "create_database", create_database)
    with (tmp_path / "log").open("w") as log, run_folder(tmp_path) as run:
        async with await open_postgres(tmp_path, run, Console(log), NOT_DURABLE) as postgres:
            yield postgres


async def test_the_database_is_the_same_as_that_of_the_workbench(
    cluster: Object, of_the_operator: Postgres, new_data: Callable[[], Path]
) -> None:
    data = new_data()
    with (data.parent / f"{data.name}.log").open("w") as log, run_folder(data) as run:
        async with await open_postgres(data, run, Console(log), NOT_DURABLE) as workbench:
            expected = await state(workbench)
    made = await state(of_the_operator)

    for name in STATE:
        assert made[name] == expected[name], name
    app = next(row for row in made["database"] if row["datname"] == "app")
    initdb = cluster["bootstrap"]["initdb"]
    assert app["owner"] == SUPERUSER
    assert (app["encoding"], app["datlocale"], app["datcollate"], app["datctype"]) == (
        initdb["encoding"],
        initdb["builtinLocale"],
        initdb["locale"],
        initdb["locale"],
    )


@pytest.mark.parametrize("role", OF_THE_OPERATOR)
async def test_the_operators_roles_reach_their_databases_and_no_others(of_the_operator: Postgres, role: str) -> None:
    for database in ("app", "postgres", "template1"):
        if database in OF_THE_OPERATOR[role]:
            await (await asyncpg.connect(of_the_operator.url(role, database))).close()
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(of_the_operator.url(role, database))


async def test_the_migrations_run_in_it(of_the_operator: Postgres) -> None:
    await migrate(load({"SERVICE_DATABASE_OWNER_URL": of_the_operator.url("app_owner")}))

    connection = await asyncpg.connect(of_the_operator.url("app_rw"))
    assert await connection.fetchval("SELECT count(*) FROM schema_migrations") > 0
    await connection.close()


def test_after_a_restore_an_overlay_names_the_new_cluster_everywhere() -> None:
    """With the patches of docs/database.md."""
    page = (ROOT / "docs" / "database.md").read_text()
    [found] = re.findall(r"```yaml\n(patches:.*?)```", page, re.DOTALL)
    [name] = set(re.findall(r"postgres-\d{14}", found))
    components = [f"../../components/postgres-{name}" for name in ("ha", "archive", "pooler")]

    objects = build(PRODUCTION, components=components, patches=yaml.safe_load(found)["patches"])

    cluster = find(objects, "Cluster", name)
    for service in ("postgres", "postgres-standbys"):
        assert find(objects, "Service", service)["spec"]["selector"]["cnpg.io/cluster"] == name
    for item in of_kind(objects, "Pooler", "ScheduledBackup"):
        assert item["spec"]["cluster"]["name"] == name
    assert references.selectors_match_pods(objects) == []
    assert "'cnpg.io/cluster': 'postgres'" not in str([cluster, *of_kind(objects, "Service")])
