"""Functions get the bodies of another version of their module, if importing both versions does the same."""

import asyncio
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest

from workbench.reload import bodies

MODULE = '''
import functools

LIMIT = 10

def traced(function):
    @functools.wraps(function)
    async def wrapper(*arguments):
        return "traced", await function(*arguments)
    return wrapper

class Store:
    """Of things."""

    async def find(self, key: int = 1) -> str:
        """One of them."""
        return f"old {key}"

@traced
async def handler(key):
    return [await Store().find(key) for _ in range(1)]

async def numbers():
    yield 1

def limit():
    return LIMIT
'''


def compiled(source: str) -> CodeType:
    return compile(source, "module.py", "exec", dont_inherit=True)


def edited(old: str, new: str) -> str:
    assert old in MODULE
    return MODULE.replace(old, new)


@pytest.mark.parametrize(
    ("edit", "call", "result"),
    [
        (('return f"old {key}"', 'return f"new {key}"'), lambda module: module["handler"](7), ("traced", ["new 7"])),
        (('return "traced", ', 'return "watched", '), lambda module: module["handler"](7), ("watched", ["old 7"])),
        (("for _ in range(1)", "for _ in range(2)"), lambda module: module["handler"](7), ("traced", ["old 7"] * 2)),
        (("yield 1", "yield 2"), lambda module: anext(module["numbers"]()), 2),
    ],
)
async def test_what_asynchronous_functions_do_is_replaced(
    edit: tuple[str, str], call: Callable[[dict[str, Any]], Any], result: object
) -> None:
    old, new = compiled(MODULE), compiled(edited(*edit))
    module: dict[str, Any] = {}
    exec(old, module)  # noqa: S102

    bodies.replace({id(before): after for before, after in bodies.pairs(old, new)})

    assert await call(module) == result


def test_lines_are_those_of_the_new_version() -> None:
    old, new = compiled(MODULE), compiled(edited("@traced\n", "# a comment\n\n@traced\n"))
    module: dict[str, Any] = {}
    exec(old, module)  # noqa: S102
    line = inspect.unwrap(module["handler"]).__code__.co_firstlineno

    bodies.replace({id(before): after for before, after in bodies.pairs(old, new)})

    assert inspect.unwrap(module["handler"]).__code__.co_firstlineno == line + 2
    assert module["limit"].__code__ is next(
        after for before, after in bodies.pairs(old, new) if before.co_name == "limit"
    )
    asyncio.run(module["handler"](1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 10", "LIMIT = 11"),
        ("LIMIT = 10", "LIMIT = 10.0"),
        ("LIMIT = 10", "LIMIT = True"),
        ("LIMIT = 10", "LIMIT = 10\nMORE = 1"),
        ("import functools", "import functools, json"),
        ("return LIMIT", "return LIMIT + 1"),
        ("key: int = 1", "key: int = 2"),
        ("key: int = 1", "key: str = 1"),
        ("key: int = 1", "other: int = 1"),
        ("handler(key)", "handler(other)"),
        ("(self, key: int = 1)", "(self, *, key: int = 1)"),
        ('"""One of them."""', '"""Another one."""'),
        ('"""Of things."""', '"""Of others."""'),
        ("@traced\n", ""),
        ("yield 1", "return"),  # no generator any more
        ("async def numbers", "def numbers"),
        ("async def numbers", "async def others"),
        ("class Store:", "class Store(dict):"),
        ('return f"old {key}"', "return super().__hash__()"),  # needs a cell of the class, which is there already
        ("await function(*arguments)", "arguments"),  # needs no closure any more
    ],
)
def test_what_an_import_does_differently_is_seen(old: str, new: str) -> None:
    with pytest.raises(bodies.DifferentImport):
        list(bodies.pairs(compiled(MODULE), compiled(edited(old, new))))
