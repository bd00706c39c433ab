"""Files, and manifests from them: YAML and kustomizations."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.kustomization import Object, build
from tests.k8s.tiltfile.blob import Blob, Loader
from tests.k8s.tiltfile.declared import Declared
from tests.k8s.tiltfile.values import Functions, of_kind, opaque


class Manifests:
    def __init__(self, declared: Declared, root: Path) -> None:
        self._declared = declared
        self._root = root

    def functions(self) -> Functions:
        return {
            "watch_file": self._watch_file,
            "read_yaml": self._read_yaml,
            "kustomize": self._kustomize,
            "filter_yaml": _filter_yaml,
            "decode_yaml_stream": _decode_yaml_stream,
            "encode_yaml_stream": _encode_yaml_stream,
        }

    def _watch_file(self, file_path: str) -> None:
        self._declared.note(file_path)

    def _read_yaml(self, path: str, default: Any = None) -> Any:
        file = self._root / self._declared.note(path)
        if default is not None and not file.exists():
            return default
        return yaml.load(file.read_text(), Loader)  # noqa: S506 - a safe one

    def _kustomize(self, path: str, kustomize_bin: str = "", flags: Sequence[str] = ()) -> Any:
        return opaque(Blob(_built(self._root / self._declared.note(path))))


_builds: dict[bytes, str] = {}


def _built(folder: Path) -> str:
    """Once for the same files, as it takes longer than all the rest: most copies of the project differ elsewhere."""
    digest = hashlib.sha256(folder.name.encode())
    for file in sorted(path for path in folder.parents[1].rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder.parents[1])).encode() + file.read_bytes())
    return _builds.get(digest.digest()) or _builds.setdefault(digest.digest(), Blob.of(build(folder)).text)


def _filter_yaml(
    yaml: Any,
    labels: Mapping[str, str] | None = None,
    name: str = "",
    namespace: str = "",
    kind: str = "",
    api_version: str = "",
) -> list[Any]:
    matching: list[Object] = []
    rest: list[Object] = []
    for item in of_kind(Blob, yaml).objects:
        metadata = item["metadata"]
        fields = (
            (name, metadata["name"]),
            (namespace, metadata.get("namespace", "default")),
            (kind, item["kind"]),
            (api_version, item["apiVersion"]),
        )
        has = metadata.get("labels", {})
        matches = all(re.search(pattern, value, re.IGNORECASE) for pattern, value in fields) and all(
            has.get(label) == value for label, value in (labels or {}).items()
        )
        (matching if matches else rest).append(item)
    return [opaque(Blob.of(matching)), opaque(Blob.of(rest))]


def _decode_yaml_stream(yaml: Any) -> list[Any]:
    return list((yaml if isinstance(yaml, Blob) else Blob(yaml)).documents)


def _encode_yaml_stream(objs: list[Any]) -> Any:
    return opaque(Blob.of(objs))
