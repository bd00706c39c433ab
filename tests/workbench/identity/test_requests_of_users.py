"""harness/sign_in.py: tests, measurements and loads send the requests of a user."""

import asyncio
import os
import sys

import httpx
import pytest

from harness import sign_in
from harness.sign_in import to_stack
from harness.tls import NO_TLS
from service.identity import ADMIN
from tests.workbench.identity.person import Person
from tests.workbench.things import ANY
from workbench.machine.folders import ROOT
from workbench.stack import Stack


async def test_a_load_signs_in(stack: Stack) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.traffic", "--url", stack.ingress_url, "--rate", "20", "--seconds", "1"),
        cwd=ROOT,
        env=os.environ | {"DATA": str(stack.options.data)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()

    assert process.returncode == 0, output
    assert ", 0 failed" in output


async def test_a_user_of_a_workbench_that_this_process_runs(stack: Stack, person: Person) -> None:
    async with httpx.AsyncClient(base_url=stack.ingress_url, auth=to_stack(stack, ADMIN), verify=NO_TLS) as client:
        answer = await client.get(ANY)
        refused = await client.get(ANY, headers={"authorization": "Bearer mine"})
    token = answer.request.headers["authorization"].removeprefix("Bearer ")

    assert answer.status_code == 200
    assert (await person.claims(token))["sub"] == "grace"
    assert refused.status_code == 401


def test_a_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter(("first", "second"))
    user = sign_in.SignIn(lambda: next(tokens))
    clock = iter((0.0, 0.0, 299.0, 301.0, 301.0))
    monkeypatch.setattr("harness.sign_in.time.monotonic", lambda: next(clock))
    seen = [user.headers()["authorization"] for _ in range(3)]

    assert seen == ["Bearer first", "Bearer first", "Bearer second"]
