"""The service's files at one moment, and the importer that runs exactly them, whatever is saved meanwhile."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from workbench.reload import code
from workbench.reload.code import PACKAGE


class Snapshot:
    """Empty until take() is called; modules are then imported from the files as they are at that moment."""

    def __init__(self) -> None:
        self.version = ""
        self._sources: dict[str, bytes] = {}
        self._compiled: dict[str, tuple[bytes, CodeType]] = {}  # with the source that it was compiled from
        self._finder = _Finder(self)

    def take(self) -> None:
        """Read the files and compile those that have changed since the last time. Executes nothing."""
        files = code.read()
        self.version = code.version(files)
        self._sources = {str(path): content for path, content in files.items()}
        self._compiled = self._compiled.copy()
        for path, source in self._sources.items():
            if path.endswith(".py") and self.compiled(path, source) is None:
                try:
                    self._compiled[path] = source, compile(source, path, "exec", dont_inherit=True)
                except Exception:  # also MemoryError and RecursionError
                    self._compiled.pop(path, None)  # the new process meets the same error and reports it

    def copy(self) -> "Snapshot":
        """The same, which stays as it is when this one is taken again."""
        other = Snapshot()
        other.version, other._sources, other._compiled = self.version, self._sources, self._compiled
        return other

    def differences(self, other: "Snapshot") -> set[str]:
        """The paths of files that differ, or that only one of both has."""
        return {path for path, _ in self._sources.items() ^ other._sources.items()}

    def source(self, path: str) -> bytes | None:
        return self._sources.get(path)

    def code_of(self, path: str) -> CodeType | None:
        """The code of a file; None if it is no module, or cannot be compiled."""
        source = self._sources.get(path)
        return None if source is None else self.compiled(path, source)

    def compiled(self, path: str, source: bytes) -> CodeType | None:
        """The code of a file, if it was compiled from this source."""
        compiled_from, compiled = self._compiled.get(path, (None, None))
        return compiled if compiled_from == source else None

    def install(self) -> None:
        """From now on, import the service's modules from this snapshot."""
        if self._finder not in sys.meta_path:
            sys.meta_path.insert(0, self._finder)


class _Finder(MetaPathFinder):
    """Lets _Loader load the service's modules."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, self._snapshot)
        return spec


class _Loader(SourceFileLoader):
    """Ignores .pyc files: their time and size cannot tell two saves of equal size within a second apart."""

    def __init__(self, fullname: str, path: str, snapshot: Snapshot) -> None:
        super().__init__(fullname, path)
        self._snapshot = snapshot

    def get_data(self, path: str) -> bytes:
        source = self._snapshot.source(path)
        return super().get_data(path) if source is None else source

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        compiled = self._snapshot.compiled(path, source)
        return self.source_to_code(source, path) if compiled is None else compiled
