"""How the tests are spread over processes, the workers of pytest-xdist.

A worker runs whole files, one after the other, and has workbenches, databases, ports and a browser of its own. Most
of them belong to a folder and are started by its first test, so the files of one folder stay together.
"""

import gc
import os
from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling, Scheduling
from xdist.workermanage import WorkerController

LONGEST_FIRST = ("page", "reload", "faults", "workbench", "service", "observability")
"""Parts of the paths of files that take long. At the end all workers should end at about the same time."""

PER_CORE = 2
"""Half of the time, a worker waits for a process that it has started."""

MAXIMUM = 8


def pytest_xdist_auto_num_workers() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(PER_CORE * (cores or 1), MAXIMUM)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return FolderScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """What is loaded from here on stays, so collections of garbage would look at it in vain, now and later."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


class FolderScheduling(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Gives each worker files of the folder that it has begun; then those of a folder that no other one has begun."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._begun: dict[WorkerController, str] = {}

    def _assign_work_unit(self, node: WorkerController) -> None:
        others = {folder for other, folder in self._begun.items() if other is not node}
        file = choose(self.workqueue, self._begun.get(node), others)
        self._begun[node] = folder_of(file)
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)


def choose(files: Mapping[str, object], begun: str | None, others: set[str]) -> str:
    """The file that a worker runs next, which has begun one folder while `others` are those of the other workers."""

    def order(file: str) -> tuple[bool, bool, int]:
        folder = folder_of(file)
        return folder != begun, folder in others, _rank(file)

    return min(files, key=order)


def folder_of(file: str) -> str:
    return str(PurePosixPath(file).parent)


def _rank(file: str) -> int:
    parts = PurePosixPath(file).parts
    return next((rank for rank, part in enumerate(LONGEST_FIRST) if part in parts), len(LONGEST_FIRST))
