"""The baseline of make bench-check. The aims are those of aims.py, for a note."""

import json

from bench.notes.speed.check import BASELINE
from bench.notes.speed.contenders import ON_UVICORN, SERVICE


def test_both_servers_meet_their_aims_in_the_baseline() -> None:
    baseline = json.loads(BASELINE.read_text())

    assert baseline.keys() == {SERVICE.name, ON_UVICORN.name}
    assert baseline[SERVICE.name]["note"] <= 1.15
    assert baseline[ON_UVICORN.name]["note"] <= 0.75
