"""A copy of the project whose only domain is the probe domain."""

import shutil
from pathlib import Path

from harness.sandbox import Sandbox
from tests.probe import things

MODULE = "service/domains/things.py"
"""The probe domain in the copy."""


_ROUTE = '    @routes.get("")\n'
COUNT = (
    _ROUTE,
    f"""\
    @routes.get("/count")
    @endpoint()
    async def count() -> Answer:
        return Answer(200, b"0")

{_ROUTE}""",
)
"""An edit of MODULE that adds a route."""


def probe_sandbox(root: Path) -> Sandbox:
    """A copy of the project in the folder `root`, with the probe domain in place of its own domains."""
    sources = Sandbox(root)
    for path in (root / "service" / "domains").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "__init__.py":
            path.unlink()
    assert things.__file__
    sources.write(MODULE, Path(things.__file__).read_text())
    sources.keep()
    return sources
