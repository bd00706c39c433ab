"""The routes of the page give away no files except its own."""

import pytest

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
]


@pytest.mark.parametrize("door", ["ingress", "service"])
async def test_no_spelling_of_a_path_reaches_private_files(stack: Stack, door: str) -> None:
    port = stack.envoy.port if door == "ingress" else stack.replicas[0].api_port

    await finds_nothing_private(f"http://127.0.0.1:{port}", PATHS)
