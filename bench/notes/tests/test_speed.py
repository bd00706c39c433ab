"""How make bench and make bench-check evaluate their measurements."""

import pytest

from bench.notes.speed import plot
from bench.notes.speed.aims import aims, markdown
from bench.notes.speed.check import losses
from bench.notes.speed.contenders import CONTENDERS, chosen
from bench.notes.speed.results import Sample, Series, ratio
from bench.notes.speed.startup import Startup
from workbench.errors import UsageError


def series(contender: str, *cpu: float) -> Series:
    return Series(contender, "note", "direct", [Sample(value, 1000.0, 1.0, 2.0) for value in cpu])


def test_ratios_are_calculated_within_each_round() -> None:
    machine_is_busy_in_round_two = series("service", 100, 400, 110), series("fastapi", 200, 800, 200)

    found = ratio(*machine_is_busy_in_round_two, "cpu_us")

    assert (found.minimum, found.median, found.maximum) == (0.5, 0.5, 0.55)


@pytest.mark.parametrize(("now", "is_loss"), [(0.5, False), (0.6, False), (0.68, False), (0.70, True)])
def test_a_loss_is_more_than_fifteen_percent_of_the_baseline(now: float, is_loss: bool) -> None:
    found = losses({"service": {"note": now}}, {"service": {"note": 0.6}})

    assert bool(found) is is_loss
    assert all("service, note: 0.70 of fastapi's" in loss for loss in found)


def test_aims_are_met_or_missed() -> None:
    starts = Startup(service_s=[0.5, 0.9, 0.6], service_cpu_s=[0.4], idle_mib=[61.0], warm_s=[2.0], cold_s=[20.0])
    measured = [series("service", 120), series("service-uvicorn", 70), series("fastapi", 100)]

    met = {aim.what: aim.is_met for aim in aims(measured, starts)}

    assert met == {
        "service: CPU for a note, of fastapi's": False,
        "service-uvicorn: CPU for a note, of fastapi's": True,
        "`python -m service` ready, s": True,
        "memory of an idle replica, MiB": False,
        "`make dev` answers, warm, s": True,
        "`make dev` answers, nothing installed, packages cached, s": True,
    }
    assert "| memory of an idle replica, MiB | at most 60 | 61.00 | missed |" in markdown(aims(measured, starts))


def test_the_bound_of_a_rate_is_a_minimum() -> None:
    measured = [series("service", 100), series("flask", 100)]  # both have the same rate

    [_, aim] = [*aims([*measured, series("fastapi", 100)], None)]

    assert (aim.bound, aim.found, aim.is_met) == (6.0, 1.0, False)


def test_contenders_are_chosen_by_name() -> None:
    assert [contender.name for contender in chosen(["flask", "service"])] == ["flask", "service"]
    with pytest.raises(UsageError, match="no contender is called django; there are service, "):
        chosen(["django"])


def test_the_picture_has_a_bar_for_each_contender() -> None:
    shown = [contender.name for contender in CONTENDERS if not contender.notes_only]
    found = [
        {"contender": name, "endpoint": "note", "via": "direct", "cpu_us": 100.0 + number, "rate": 900.0}
        for number, name in enumerate(shown)
    ]

    picture = plot.comparison({"series": found})

    for number, name in enumerate(shown):
        assert f">{name}</text>" in picture
        assert f">{100 + number}</text>" in picture
