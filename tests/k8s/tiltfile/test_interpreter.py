"""The interpreter itself: a broken Tiltfile is an error, and it is that one."""

from pathlib import Path

import pytest

from tests.k8s.tiltfile.declared import TiltfileError
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine
from tests.k8s.tiltfile.project_files import replace


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("labels='app',", "label='app',", "unexpected keyword argument 'label'"),
        ("kustomize('", "kustomise('", "`kustomise` not found"),
        ("TRIGGER_MODE_MANUAL", "TRIGGER_MODE_NEVER", "`TRIGGER_MODE_NEVER` not found"),
        ("k8s_resource('istiod',", "k8s_resource('pilot',", "unknown resource 'pilot'"),
        ("objects=objects(secrets)", "objects=objects(mesh_rules)", "is in another resource already"),
        ("objects=objects(secrets)", "objects=['nothing']", "nothing matches 0 objects"),
        ("objects=objects(secrets)", "objects=['postgres']", r"postgres matches \d objects"),
        ("secrets, istio_crds, istio,", "secrets, secrets, istio_crds, istio,", "Duplicate YAML"),
        ("labels='app',", "labels='the app',", "Invalid label 'the app'"),
        ("new_name='secrets'", "new_name='postgres'", "two resources postgres"),
        ("['make', 'lint']", "['make', 3]", "not a list of strings"),
        ("mesh_rules, ingress_rules, database, service])", "'k8s/nowhere.yaml'])", "nowhere"),
        ("watch_file(", "local('date'); watch_file(", "the Tiltfile runs"),
        ("load('./tilt/buttons.tiltfile', 'button',", "load('./tilt/buttons.tiltfile', button='knob',", "`knob`"),
        ("sync('service', '/app/service')", "'service'", "live_update takes steps"),
    ],
)
def test_a_broken_tiltfile(old: str, new: str, message: str, project: Path, machine: Machine) -> None:
    replace(project / "Tiltfile", old, new)
    with pytest.raises(TiltfileError, match=message):
        run(project, machine)


def test_an_object_without_a_resource_is_seen(project: Path, machine: Machine) -> None:
    replace(project / "Tiltfile", "objects(mesh_rules) + objects(ingress_rules)", "objects(ingress_rules)")
    left = run(project, machine).resources["uncategorized"].objects
    assert "PeerAuthentication" in {item["kind"] for item in left}
