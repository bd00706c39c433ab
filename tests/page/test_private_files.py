"""The routes of the page give away no files except its own and those of its parts."""

import pytest

from harness.sign_in import to_stack
from service.app import DOMAINS
from service.domain import page_parts
from tests.faults.hostile import finds_nothing_private
from workbench.stack import Stack

PATHS = [
    *(
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
        "/static/..%5capp.py",
        "/docs/../app.py",
    ),
    *("/static/....//app.py", "/static//etc/passwd", "/static/%00", "/static/style.css%00", "/static/../settings.py"),
    *("/static/parts/../routes.py", "/static/../pages/routes.py", "/static/..%2fpages/routes.py"),
    *(
        f"/static/{part}/{name}"
        for part in page_parts(DOMAINS)
        for name in (
            "../__init__.py",
            "..%2f__init__.py",
            "%2e%2e%2f__init__.py",
            "..%5c__init__.py",
            "page.js%00",
            "/etc/passwd",
        )
    ),
]


@pytest.mark.parametrize("door", ["ingress", "service"])
async def test_no_spelling_of_a_path_reaches_private_files(stack: Stack, door: str) -> None:
    if door == "ingress":
        await finds_nothing_private(stack.ingress_url, PATHS, to_stack(stack))
    else:
        await finds_nothing_private(f"http://127.0.0.1:{stack.replicas[0].api_port}", PATHS)
