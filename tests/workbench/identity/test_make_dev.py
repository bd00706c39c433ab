"""`make dev` with users, as a person uses it: the line that it prints works as it is."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from harness.processes import arguments
from harness.tls import NO_TLS
from tests.workbench.processtree import descendants
from tests.workbench.reload.live import Output
from tests.workbench.terminal import STARTED, WORKBENCH, Terminal, make_dev
from workbench.console import Console
from workbench.machine.folders import ROOT
from workbench.reset import reset

WITH_SECRETS = """
import sys
from pathlib import Path
from workbench.machine import passwords
passwords.LOCAL = Path(sys.argv[1])
from workbench.__main__ import main
sys.exit(main())
"""
"""`make dev` with the passwords in another folder."""


CURL = f"""#!{sys.executable}
import sys
import httpx
_, option, header, url = sys.argv
assert option == "-H"
print(httpx.get(url, headers=[header.split(": ", 1)], timeout=60).status_code)
"""
"""As much of curl as the line needs. Not every machine has it."""


def curl(folder: Path) -> Path:
    program = folder / "curl"
    program.write_text(CURL)
    program.chmod(0o755)
    return program


async def test_the_line_that_it_prints_gets_an_answer(new_data: Callable[[], Path], tmp_path: Path) -> None:
    data, secrets = new_data(), tmp_path / "secrets"
    async with make_dev(data, (sys.executable, "-c", WITH_SECRETS, str(secrets)), IDENTITY="yes") as terminal:
        await terminal.until(STARTED)
        for user, shown in (("ada", "ada"), ("grace", "grace (admin)")):
            password = (secrets / f"user-{user}-password").read_text().strip()
            assert re.search(rf" {re.escape(shown)} +password {re.escape(password)}\n", terminal.text)
        [line] = re.findall(r"try: (.*)\n", terminal.text)
        found = re.fullmatch(r'curl -H "Authorization: Bearer \$\(make token DATA=(\S+)\)" (http:\S+)/', line)
        assert found
        assert found[1] == str(data)
        as_here = line.replace(
            "make token", f"make token --old-file=environment-workbench VENV_PYTHON={sys.executable}"
        )
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        env["PATH"] = f"{curl(tmp_path).parent}:{env['PATH']}"
        done = await asyncio.to_thread(
            subprocess.run, ["sh", "-c", as_here], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.stdout == "200\n", (done.stdout, done.stderr)

        os.kill(identity_of(terminal), signal.SIGKILL)
        await terminal.until_match(
            r" identity +ended unexpectedly, killed by SIGKILL: starting it again +\d+\.\d\d s\n"
        )
        async with httpx.AsyncClient(base_url=found[2], verify=NO_TLS) as client:
            assert (await client.get("/auth/keys")).status_code == 200
    assert not (data / "identity" / "url").exists()
    await asyncio.to_thread(reset, data, Console(Output()))
    assert not data.exists()


def identity_of(terminal: Terminal) -> int:
    """The process of the provider, which is one of several programs of Python."""
    for pid in descendants(terminal.process.pid):
        if "-m workbench.identity" in arguments(pid):
            return pid
    raise AssertionError("it does not run")


async def test_without_users_nothing_of_them_is_there(new_data: Callable[[], Path]) -> None:
    data = new_data()
    async with make_dev(data, WORKBENCH, IDENTITY="no") as terminal:
        await terminal.until(STARTED)
        assert "sign in" not in terminal.text
        assert "identity" not in terminal.text
        assert re.search(r"try: curl http:\S+/\n", terminal.text)
        assert not (data / "identity").exists()
