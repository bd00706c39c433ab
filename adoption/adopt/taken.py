"""Names that mean something else in the project already, so that a service cannot have them, too."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

NO_TEXT = ("false", "n", "no", "null", "off", "on", "true", "y", "yes")
"""What YAML does not read as a text."""

_ELSEWHERE = {
    "YAML does not read it as a text": NO_TEXT,
    "Kubernetes uses it": ("default", "kube-node-lease", "kube-public", "kube-system", "kubernetes", "localhost"),
    "pages and tests call another part of the cluster by it": (
        "anywhere",
        "client",
        "database",
        "dns",
        "gateway",
        "kubelet",
    ),
}
"""Names that are in no file from which they could be read, by the reason."""

_IN_FILES = (
    ("k8s/**/*.yaml", re.compile(r"(?m)^  name: ([a-z0-9-]+)"), "{file} has an object of this name"),
    ("k8s/**/kustomization.yaml", re.compile(r"(?m)^  - name: ([a-z0-9-]+)"), "{file} makes an object of this name"),
    (
        "Tiltfile",
        re.compile(r"(?:_resource|_deploy|button)\(\s*(?:new_name=)?'([a-z0-9-]+)'"),
        "Tilt has a resource of this name",
    ),
)
"""Where names are, by the text around them, and the reason."""

_PACKAGES = ("requirements/*.txt", re.compile(r"(?m)^([a-z0-9-]+)(?:\[|==)"), "it is a package in {file}")


def taken(root: Path, first: bool = True) -> dict[str, str]:
    """The reason why a name is taken, for each name that is. The project's own name is among them.

    Names of packages and folders are only confusing: later versions may have them, if it is not the first adoption.
    """
    found = {name: reason for reason, names in _ELSEWHERE.items() for name in names}
    for name, reason in _names_in_files(root, (*_IN_FILES, _PACKAGES) if first else _IN_FILES):
        found.setdefault(name, reason)
    if first:
        for folder in root.iterdir():
            if folder.is_dir():
                found.setdefault(folder.name, "it is a folder of the project")
    return found


def _names_in_files(root: Path, places: Iterable[tuple[str, re.Pattern[str], str]]) -> Iterator[tuple[str, str]]:
    for files, pattern, reason in places:
        for file in sorted(root.glob(files)):
            names = pattern.findall(file.read_text(encoding="utf-8"))
            yield from ((name, reason.format(file=file.relative_to(root).as_posix())) for name in names)
