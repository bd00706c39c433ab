"""A string that is content, and the YAML in it."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import yaml

from tests.k8s.kustomization import Object

# The library's own loader and dumper are some ten times slower.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Blob:
    """A string that is content, where a plain string would be a path."""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def of(cls, documents: Iterable[object]) -> "Blob":
        return cls(yaml.dump_all(documents, Dumper=_Dumper))

    @cached_property
    def documents(self) -> list[Any]:
        return [document for document in yaml.load_all(self.text, Loader) if document is not None]

    @property
    def objects(self) -> list[Object]:
        """Those of a List each for themselves, as Tilt takes them."""
        return [item for document in self.documents for item in _unpacked(document)]


def _unpacked(document: Object) -> list[Object]:
    if (document["apiVersion"], document["kind"]) != ("v1", "List"):
        return [document]
    return [inner for item in document["items"] for inner in _unpacked(item)]
