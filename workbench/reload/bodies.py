"""The bodies of asynchronous functions: whether two versions differ in nothing else, and how to replace them.

Importing a module runs all of its code but the bodies of asynchronous functions, unless it runs one of them, which
ahead.py sees. So if two versions differ in nothing else, importing them does the same, and both describe one API.
"""

import gc
import inspect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_VARARGS, CO_VARKEYWORDS
from pathlib import Path
from types import CodeType, FunctionType

ASYNCHRONOUS = CO_COROUTINE | CO_ASYNC_GENERATOR
"""Flags of code; an asynchronous function has one of them."""

_HAS_DOCSTRING: int = getattr(inspect, "CO_HAS_DOCSTRING", 0)
"""Of Python 3.14: whether the first constant is a docstring. Before that, it is None without a docstring."""


class DifferentImport(Exception):
    """Importing one version does something else than importing the other."""


def pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The code of each function in a module, or in another one, with its counterpart. Raises DifferentImport."""
    if old.co_flags & ASYNCHRONOUS:
        if _signature(old) != _signature(new):
            raise DifferentImport(old.co_qualname)
        yield old, new
        return
    if _effect(old) != _effect(new):
        raise DifferentImport(old.co_qualname)
    yield old, new
    for inner in zip(_inner(old), _inner(new), strict=True):
        yield from pairs(*inner)


def same_import(old: Mapping[Path, bytes], new: Mapping[Path, bytes]) -> bool:
    """Whether importing the Python files of two versions does the same."""
    before, after = _python(old), _python(new)
    if before.keys() != after.keys():
        return False
    try:
        for path in before:
            if before[path] != after[path]:
                list(pairs(_compiled(before[path]), _compiled(after[path])))
    except Exception:  # DifferentImport, a SyntaxError, or a RecursionError, a MemoryError
        return False
    return True


def replace(bodies: Mapping[int, CodeType]) -> None:
    """Let every function that runs the code with the id of a key run its value."""
    for thing in gc.get_objects():
        if type(thing) is FunctionType and (body := bodies.get(id(thing.__code__))):
            thing.__code__ = body


def _python(files: Mapping[Path, bytes]) -> dict[Path, bytes]:
    return {path: content for path, content in files.items() if path.suffix == ".py"}


@lru_cache(maxsize=64)
def _compiled(source: bytes) -> CodeType:
    return compile(source, "", "exec", dont_inherit=True)


def _signature(code: CodeType) -> object:
    """What others see of a function before it runs. Defaults and annotations belong to the code around it."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & CO_VARARGS) + bool(code.co_flags & CO_VARKEYWORDS)
    return (*_head(code), code.co_varnames[:count], _docstring(code))


def _effect(code: CodeType) -> object:
    """All that code does, apart from the functions in it. Line numbers do not count."""
    constants = [code.co_name if isinstance(value, CodeType) else repr(value) for value in code.co_consts]
    return (
        *_head(code),
        code.co_code,
        constants,
        code.co_names,
        code.co_varnames,
        code.co_exceptiontable,
    )


def _head(code: CodeType) -> tuple[object, ...]:
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    return code.co_qualname, arguments, code.co_flags, code.co_freevars


def _inner(code: CodeType) -> list[CodeType]:
    return [value for value in code.co_consts if isinstance(value, CodeType)]


def _docstring(code: CodeType) -> str | None:
    first = code.co_consts[0] if code.co_consts else None
    has_one = isinstance(first, str) and (not _HAS_DOCSTRING or code.co_flags & _HAS_DOCSTRING)
    return first if has_one else None
