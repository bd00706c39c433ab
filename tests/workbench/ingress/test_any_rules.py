"""Any rules are either translated, or refused with the file and the field in one line."""

import copy
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.k8s.project import LOADER
from tests.workbench.ingress.changed_rules import RULES
from tests.workbench.ingress.translation import translate
from workbench.ingress.bootstrap import IngressRuleError

FILES = sorted(file.name for file in RULES.glob("*.yaml"))
CRDS = os.environ.get("ISTIO_CRDS", "")

# A deeper search: RULES_EXAMPLES=10000 make test ARGS=tests/workbench/ingress/test_any_rules.py
EXAMPLES = settings(
    max_examples=int(os.environ.get("RULES_EXAMPLES") or "50"),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

_TEXT = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", "*", "%", "%REQ(x)%", "1s", "0s", "-1s", "1h30m", "9999999999s", "/", "a\nb", "(", "[", "a{1,1001}"]
    ),
)
_SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([0, -1, 2**31, 2**64]), st.floats(), _TEXT
)
_VALUE = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2), max_leaves=4
)


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each container of the document, with each key or index in it."""
    pairs = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(pairs):
        yield document, key
        yield from places(value)


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, Any]:
    """A file of RULES with up to three changes: a value is replaced or removed, or a field is added."""
    file = draw(st.sampled_from(FILES))
    document = yaml.safe_load((RULES / file).read_text())
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(document))
        container, key = found[draw(st.integers(0, len(found) - 1))]
        match draw(st.sampled_from(["replace", "exchange", "remove", "add"])):
            case "replace":
                container[key] = draw(_VALUE)
            case "exchange":  # for something that is valid elsewhere
                other, name = found[draw(st.integers(0, len(found) - 1))]
                container[key] = copy.deepcopy(other[name])
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[draw(_TEXT)] = draw(_VALUE)
            case "add":
                container.append(draw(_VALUE))
    return file, document


@functools.cache
def schemas() -> dict[str, Any]:
    """The schemas of Istio's kinds that the workbench reads, by the file of RULES that has such an object."""
    kinds = {yaml.safe_load((RULES / file).read_text())["kind"]: file for file in FILES}
    crds = [crd for crd in yaml.load_all(Path(CRDS).read_text(), LOADER) if crd]
    return {
        kinds[crd["spec"]["names"]["kind"]]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for crd in crds
        if crd["spec"]["names"]["kind"] in kinds
    }


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a structural schema of Kubernetes, whose objects have few of the fields that they need not have."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object" if "properties" in schema:
            return _objects(schema)
        case "object":
            return st.dictionaries(_TEXT, values(schema.get("additionalProperties") or {}), max_size=2)
        case "array":
            return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=2)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(max(schema.get("minimum", -1), -(2**63)), schema.get("maximum", 2**32))
        case "number":
            return st.floats(allow_nan=False)
        case "string":
            return _TEXT
        case _:
            return _VALUE


@st.composite
def _objects(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    required = {*schema.get("required", [])} & schema["properties"].keys()
    others = sorted(schema["properties"].keys() - required)
    chosen = draw(st.lists(st.sampled_from(others), max_size=2, unique=True)) if others else []
    return {name: draw(values(schema["properties"][name])) for name in [*sorted(required), *chosen]}


@pytest.fixture(scope="module")
def try_rules(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], bool]:
    """Replaces a file of RULES, and returns whether the rules were translated."""
    folder = tmp_path_factory.mktemp("rules")

    def try_(file: str, document: Any) -> bool:
        shutil.copytree(RULES, folder, dirs_exist_ok=True)
        (folder / file).write_text(yaml.safe_dump(document, allow_unicode=True))
        refusal = None
        try:
            translate(folder)
        except IngressRuleError as error:
            refusal = error
        if refusal:
            text = str(refusal)
            assert text.startswith(f"{refusal.file}: ")
            assert text.splitlines() == [text]
            assert refusal.reason
        return refusal is None

    return try_


@given(rules=changed())
@EXAMPLES
def test_changed_rules(try_rules: Callable[[str, Any], bool], rules: tuple[str, Any]) -> None:
    try_rules(*rules)


@pytest.mark.skipif(not CRDS, reason="ISTIO_CRDS names no file; see tests/k8s/test_schemas.py")
@given(data=st.data())
@EXAMPLES
def test_rules_that_istio_accepts(try_rules: Callable[[str, Any], bool], data: st.DataObject) -> None:
    by_file = schemas()
    file = data.draw(st.sampled_from(sorted(by_file)))
    document = yaml.safe_load((RULES / file).read_text())
    spec = data.draw(values(by_file[file]["properties"]["spec"]))
    for name in data.draw(st.lists(st.sampled_from(sorted(spec)), unique=True)) if spec else ():
        document["spec"][name] = spec[name]
    try_rules(file, document)
