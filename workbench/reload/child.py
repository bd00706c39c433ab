"""What a new process does before it is the service: read all code from its sources, explain an error in one line.

    python -m workbench.reload.child service

is the way in for a fresh process; a fork of the template calls become().
"""

import runpy
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

from workbench.reload import code
from workbench.reload.code import PACKAGE, ROOT

FRAMES = 10  # most lines of the way to an error

# What the template has read, by path, and compiled, with the source that it was compiled from. A fork runs exactly
# that, whatever is saved while it starts; a fresh process finds both empty, and reads the files.
snapshot: dict[str, bytes] = {}
compiled: dict[str, tuple[bytes, CodeType]] = {}


class SourceLoader(SourceFileLoader):
    """Never uses bytecode files: two saves of equal size within a second leave them stale and unnoticed."""

    def get_data(self, path: str) -> bytes:
        return snapshot[path] if path in snapshot else super().get_data(path)

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        known = compiled.get(path)
        if known is not None and known[0] == source:
            return known[1]
        return self.source_to_code(source, path)


class _Finder(MetaPathFinder):
    """Loads the service's modules with SourceLoader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = SourceLoader(fullname, spec.loader.path)
        return spec


def take_snapshot(files: Mapping[Path, bytes]) -> None:
    """Keep the files for the next fork, and compile what has changed, so that it need not. Runs nothing of them."""
    snapshot.clear()
    snapshot.update((str(path), content) for path, content in files.items())
    for name, source in snapshot.items():
        if not name.endswith(".py") or (name in compiled and compiled[name][0] == source):
            continue
        try:
            compiled[name] = source, compile(source, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            compiled.pop(name, None)  # the new process meets the same error and reports it


def snapshot_version() -> str:
    """Of the code that this fork runs."""
    return code.version({Path(path): content for path, content in snapshot.items()})


def become(module: str) -> None:
    """Run `module` as `python -m` does; returns or raises SystemExit when it ends."""
    sys.meta_path.insert(0, _Finder())
    sys.excepthook = explain
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write an error to stderr: file, line and message first, then the way through the project's own files."""
    frames = [frame for frame in traceback.extract_tb(trace) if _ours(frame.filename)]
    summary = "".join(traceback.format_exception_only(error)).strip()
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{_shown(error.filename)}:{error.lineno}: "
        summary = f"{kind.__name__}: {error.msg}\n    {(error.text or '').strip()}"
    elif frames:
        where = f"{_shown(frames[-1].filename)}:{frames[-1].lineno}: "
    lines = [where + summary]
    for frame in frames[: -FRAMES - 1 : -1]:
        lines.append(f"    {frame.line}    ({_shown(frame.filename)}:{frame.lineno}, {frame.name})")
    if len(frames) > FRAMES:
        lines.append(f"    and {len(frames) - FRAMES} more")
    if not where:  # nothing of ours in it: everything may matter
        lines += "".join(traceback.format_tb(trace)).splitlines()
    sys.stderr.write("\n".join(lines) + "\n")


def _ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(ROOT / PACKAGE)


def _shown(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else filename


if __name__ == "__main__":
    # As an import, so that `explain` and `snapshot` are those of the module, not a second copy in __main__.
    from workbench.reload import child

    child.become(sys.argv[1])
