"""`make dev IDENTITY=yes` as a person uses it: the line that it prints works as it is."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.workbench.terminal import STARTED, WORKBENCH, make_dev
from workbench.machine.folders import ROOT

WITH_SECRETS = """
import sys
from pathlib import Path
from workbench.machine import passwords
passwords.FOLDER = Path(sys.argv[1])
from workbench.__main__ import main
sys.exit(main())
"""
"""`make dev` with the passwords in another folder."""


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
        command = ["sh", "-c", f"{as_here} -sS -w ' %{{http_code}}'"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.stdout.endswith(" 200"), (done.stdout, done.stderr)
    assert not (data / "identity" / "url").exists()


async def test_without_users_nothing_of_them_is_there(new_data: Callable[[], Path]) -> None:
    data = new_data()
    async with make_dev(data, WORKBENCH, IDENTITY="no") as terminal:
        await terminal.until(STARTED)
        assert "sign in" not in terminal.text
        assert "identity" not in terminal.text
        assert re.search(r"try: curl http:\S+/\n", terminal.text)
        assert not (data / "identity").exists()
