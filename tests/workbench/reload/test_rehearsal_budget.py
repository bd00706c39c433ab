"""On a busy machine a rehearsal may take longer, but not for ever."""

from pathlib import Path
from typing import Any

import pytest

from service.rehearsal import cost
from service.rehearsal.recorder import Request
from service.rehearsal.rehearsal import Rehearsal
from service.settings import load

TAKES = 0.1  # s


@pytest.mark.parametrize(
    ("waits", "requests", "played"),
    [
        (0.0, 30, 2),
        (TAKES / 3, 10, 10),  # others use the CPU, and PostgreSQL waits for it too
        (TAKES / 3, 30, 16),  # ten times as long
    ],
)
async def test_time_without_a_cpu_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: float, requests: int, played: int
) -> None:
    paths: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Each request takes that long."""
        paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(cost, "perf_counter", lambda: TAKES * len(paths))
    monkeypatch.setattr(cost, "_waited", lambda: waits * len(paths))
    settings = load({"SERVICE_REHEARSAL_SOCKET": str(tmp_path / "socket"), "SERVICE_REHEARSAL_BUDGET": "0.15"})
    running, new = (Rehearsal(settings, app, dict, lambda _: None) for _ in range(2))
    running.recorder.keep(Request("GET", f"/{n}", f"/{n}", f"/{n}", "", [], "", 200) for n in range(requests))
    await running.offer()
    remarks: list[str] = []

    new.ask()
    assert await new.run(lambda _: None, remarks.append) == ""

    await new.compare()  # closes its end
    assert running._server
    running._server.close()
    assert len(paths) == played
    assert remarks == ([] if played == requests else [f"{played} of {requests} requests rehearsed"])
