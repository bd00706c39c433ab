"""The document of the API is made again, in a rehearsal and for a reload's line, only if it may be another one."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from service.rehearsal.recorder import Request
from service.rehearsal.rehearsal import Rehearsal
from service.settings import load
from service.web.openapi import DOCUMENT
from tests.probe.project import MODULE
from tests.workbench.reload.live import Live
from workbench.reload.bodies import same_import

LIST = '        return paging.answer("/things", query, rows)\n'
FIELD = "    version: Version\n"
MADE = "            self._made = made\n"

VIEW = '''
SIZE = 5

def views(routes):
    @routes.get("/")
    @endpoint(answer=Thing)
    async def view(size: int = SIZE) -> Answer:
        """Says what it does."""
        return answer(size)
'''


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("return answer(size)", "def more(): ...\n        return answer(size + 1)", True),
        ("SIZE = 5", "# how large\n\nSIZE = 5", True),
        ("SIZE = 5", "SIZE = 6", False),
        ("Says what", "Tells what", False),
        ("answer=Thing", "answer=Other", False),
        ("size: int", "size: float", False),
        ("= SIZE", "= 7", False),
        ("async def", "def", False),
        ("def views(routes):", "def views(routes):\n    add(routes)", False),
        ("return answer(size)", "return answer(", False),
    ],
)
def test_what_asynchronous_functions_do_is_no_part_of_it(old: str, new: str, is_same: bool) -> None:
    path, other = Path("a.py"), {Path("b.sql"): b"SELECT 1", Path("c.py"): b"(unchanged"}
    before = {path: VIEW.encode(), **other}

    assert same_import(before, {**other, path: VIEW.replace(old, new).encode()}) is is_same
    assert not same_import(before, {**before, Path("d.py"): b""})
    assert same_import(before, {**before, Path("b.sql"): b"SELECT 2"})


class Side:
    """A rehearsal of an application that answers everything with 200."""

    def __init__(self, path: Path, version: str) -> None:
        self.played: list[str] = []
        self.described = 0
        settings = load({"SERVICE_REHEARSAL_SOCKET": str(path), "SERVICE_VERSION": version})
        self.rehearsal = Rehearsal(settings, self._app, self._describe, lambda _: None)

    def _describe(self) -> None:
        self.described += 1

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.played.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(("version", "is_spared"), [("expected", True), ("another", False)])
async def test_a_rehearsal_is_spared_the_same_document(tmp_path: Path, version: str, is_spared: bool) -> None:
    path = tmp_path / "socket"
    serving, new = Side(path, "before"), Side(path, version)
    requests = [Request("GET", route, route, route, "", [], "", 200) for route in ("/things", DOCUMENT)]
    serving.rehearsal.recorder.keep(requests)
    await serving.rehearsal.offer()
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"same expected\n")
    writer.write_eof()
    await reader.read()
    writer.close()

    new.rehearsal.ask()
    assert await new.rehearsal.run(lambda _: None, pytest.fail) == ""

    await new.rehearsal.compare()  # closes its end
    assert serving.rehearsal._server
    serving.rehearsal._server.close()
    assert new.played == [DOCUMENT, "/things"] if not is_spared else ["/things"]
    assert new.described == (0 if is_spared else 1)
    assert [one.path for one in new.rehearsal.recorder.requests] == [DOCUMENT, "/things"]


def test_a_process_may_end_while_another_one_asks(tmp_path: Path) -> None:
    path, problems = tmp_path / "socket", list[object]()

    async def serve() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        side = Side(path, "before")
        await side.rehearsal.offer()
        another.connect(str(path))
        another.sendall(b"same\n")
        await asyncio.to_thread(another.recv, 1)  # so the connection was accepted
        assert side.rehearsal._server
        side.rehearsal._server.close()

    with socket.socket(socket.AF_UNIX) as another:
        asyncio.run(serve())
    assert problems == []


async def test_it_is_made_again_for_a_change_that_it_may_show(live: Live, tmp_path: Path) -> None:
    made = tmp_path / "made"
    live.sources.edit("service/web/openapi.py", MADE, f"{MADE}            open({str(made)!r}, 'a').write('.')\n")
    await live.reloads()
    await live.get(DOCUMENT)  # from now on it is rehearsed
    before = made.read_text()

    live.forget()
    live.sources.edit(MODULE, LIST, f"        await __import__('asyncio').sleep(0)\n{LIST}")
    await live.reloads()
    assert made.read_text() == before

    live.forget()
    live.sources.edit(MODULE, FIELD, f"{FIELD}    colour: str = 'red'\n")
    assert "API: " in await live.reloads()
    assert made.read_text() > before
