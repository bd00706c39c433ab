"""`make profile` on a running service."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from tests.workbench.things import ANY
from workbench import profiling
from workbench.errors import UsageError, WorkbenchError
from workbench.stack import Stack


async def test_the_flame_graph_names_functions_of_the_service(stack: Stack, tmp_path: Path) -> None:
    [part] = [replica.part for replica in stack.replicas[:1] if replica.part]
    file = tmp_path / "profile.svg"
    failure: BaseException | None = None
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stack.replicas[0].api_port}") as client:
        for seconds in (1, 5, 25):  # in a short time, a busy machine may let the service do nothing
            recording = asyncio.create_task(asyncio.to_thread(profiling.record, part.pid, seconds, file))
            while not recording.done():
                await client.get(ANY)
            failure = recording.exception()
            if "nothing ran while it recorded" not in str(failure):
                break
    if failure and os.geteuid() != 0:  # root may do it everywhere
        assert "sudo make profile" in str(failure)
        return
    assert failure is None
    assert os.listdir(tmp_path) == [file.name]
    graph = file.read_text()
    assert graph.startswith("<?xml")
    assert "(service/web/" in graph


def test_without_a_workbench(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=f"^no workbench runs on {tmp_path}: start it with `make dev`"):
        profiling.main({"DATA": str(tmp_path)})


@pytest.mark.parametrize("seconds", ["0", "-1", "1 2", "3601", "²"])
def test_a_wrong_duration(seconds: str) -> None:
    with pytest.raises(UsageError, match=f"^SECONDS={seconds} is not a number of seconds from 1 to 3600$"):
        profiling.main({"SECONDS": seconds})


@pytest.mark.parametrize("output", [".", "none/profile.svg"])
def test_a_file_that_cannot_be_written_is_an_error_before_the_recording(tmp_path: Path, output: str) -> None:
    with pytest.raises(UsageError, match=r"^OUTPUT=.* cannot be written: name a file in a folder"):
        profiling.main({"OUTPUT": str(tmp_path / output)})


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(
        WorkbenchError, match=r"^py-spy finds no process whose memory it may read here: run `sudo make profile`$"
    ):
        profiling.record(2**22 + 1, 1, tmp_path / "profile.svg")  # more than any process id
    assert os.listdir(tmp_path) == []
