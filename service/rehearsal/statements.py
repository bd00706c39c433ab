"""The SQL of the code that runs."""

import sys
from collections.abc import Iterator
from types import ModuleType

from service.database.pool import Statement


def statements() -> list[tuple[str, str]]:
    """Name and text of each statement that is a constant of a module, or the `statement` of one: of an Import."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "service"]
    found = {statement for module in modules for statement in _constants(module)}
    return sorted((statement.name, statement.sql) for statement in found)


def _constants(module: ModuleType) -> Iterator[Statement]:
    for value in list(vars(module).values()):
        if not isinstance(value, Statement) and type(value).__module__.startswith("service."):
            value = getattr(value, "statement", None)
        if isinstance(value, Statement):
            yield value
