"""The skeleton of code: all of it but the bodies of asynchronous functions.

Synchronous code makes the description of the API, from the modules, the models and the signatures of the routes. So
two versions with the same skeleton describe the same API.
"""

import ast
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path


def same(old: Mapping[Path, bytes], new: Mapping[Path, bytes]) -> bool:
    """Whether the Python files of two versions have the same skeletons. Comments do not count."""
    before, after = _python(old), _python(new)
    try:
        return before.keys() == after.keys() and all(
            content == after[path] or _skeleton(content) == _skeleton(after[path]) for path, content in before.items()
        )
    except Exception:  # a SyntaxError, or a RecursionError, a MemoryError
        return False


def _python(files: Mapping[Path, bytes]) -> dict[Path, bytes]:
    return {path: content for path, content in files.items() if path.suffix == ".py"}


@lru_cache(maxsize=64)
def _skeleton(source: bytes) -> str:
    return ast.dump(_WithoutBodies().visit(ast.parse(source)))


class _WithoutBodies(ast.NodeTransformer):
    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        node.body = node.body[:1] if ast.get_docstring(node) else []  # a docstring is part of the description
        return node
