"""Copies of k8s/istio that the tests change. Each has routes for the streams of the probe domain."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.workbench.ingress.translation import VIRTUAL_SERVICE
from workbench.ingress.rules import SERVICE_HOST
from workbench.machine.folders import INGRESS_RULES

RULES = INGRESS_RULES

# A change of one of the files: (file, old text, new text). The file has to contain the old text.
Edit = tuple[str, str, str]
EditRules = Callable[..., Path]

STREAMS = {
    "things-events": ("GET", "/things/events"),
    "things-export": ("GET", "/things/export"),
    "things-import": ("POST", "/things/import"),
}
"""The method and the path of each stream, by the name of its route."""

_STREAM = """\
    - name: {name}
      match:
        - method: {{ exact: {method} }}
          uri: {{ exact: {path} }}
      retries:
        attempts: 2
        retryOn: connect-failure,refused-stream,reset-before-request
      route:
        - destination:
            host: {host}
            subset: streams
            port: {{ number: 80 }}
"""
_AFTER_STREAMS = "    - name: creates-with-key\n"  # a route for all paths, so that streams come before it


def add_routes(routes: str) -> Edit:
    """Adds routes, in YAML, before those that match any path."""
    return VIRTUAL_SERVICE, _AFTER_STREAMS, routes + _AFTER_STREAMS


ADD_STREAMS = add_routes(
    "".join(
        _STREAM.format(name=name, method=method, path=path, host=SERVICE_HOST)
        for name, (method, path) in STREAMS.items()
    )
)


def changed_rules(folder: Path, *edits: Edit) -> Path:
    """Copies the rules into a folder, then applies ADD_STREAMS and the edits, in this order. Returns the folder."""
    shutil.copytree(RULES, folder, dirs_exist_ok=True)
    for name, old, new in (ADD_STREAMS, *edits):
        text = (folder / name).read_text()
        assert old in text, f"{name} no longer contains {old!r}"
        (folder / name).write_text(text.replace(old, new))
    return folder
