"""A Tiltfile that Tilt would refuse is an error here too, and the message says what is wrong."""

from pathlib import Path

import pytest

from tests.k8s.tiltfile.api import TiltfileError
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("kustomise('k8s')", "`kustomise` not found"),
        ("v1alpha1.button(name='a')", "no attribute `button`"),
        ("load('./tilt/tools.tiltfile', 'tools')", "`tools`"),
        ("k8s_resource(NAME, label='app')", "k8s_resource: got an unexpected keyword argument 'label'"),
        ("local_resource()", "local_resource: missing a required argument: 'name'"),
        ("local_resource('a', ['make', 3])", r"local_resource: cmd has to be of the type text\+"),
        ("docker_build('a', '.', live_update=['service'])", r"live_update has to be of the type step\*"),
        ("local('date')", "the Tiltfile runs"),
        ("k8s_yaml(secrets)", "Duplicate YAML"),
        ("k8s_resource('pilot')", "unknown resource 'pilot'"),
        ("local_resource('lint')", "two resources lint"),
        ("k8s_resource(NAME, objects=['nothing'])", "nothing matches 0 objects"),
        ("k8s_resource(NAME, objects=['postgres'])", r"postgres matches \d objects"),
        ("k8s_resource(NAME, objects=objects(secrets))", "is in another resource already"),
        ("config.define_string('server')\nconfig.parse()", "defined multiple times"),
    ],
)
def test_a_wrong_line_is_an_error(line: str, message: str, project: Path, folder: Path) -> None:
    with (project / "Tiltfile").open("a") as tiltfile:
        tiltfile.write(f"\n{line}\n")

    with pytest.raises(TiltfileError, match=message):
        run(project, Machine(folder))
