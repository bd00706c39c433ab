"""The results as Markdown and as JSON."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import Any

from bench.notes.speed.compare import Plan
from bench.notes.speed.contenders import REFERENCE, SERVICE, Contender
from bench.notes.speed.results import Series, find, ratio

_PACKAGES = (
    *("quart", "hypercorn", "asyncpg", "uvloop", "pydantic", "uvicorn", "httptools", "granian", "fastapi"),
    *("prometheus-fastapi-instrumentator", "litestar", "flask", "gunicorn", "psycopg2-binary"),
)
_ENDPOINTS = {"note": "GET /notes/{id}", "list": "GET /notes, 20", "create": "POST /notes", "root": "GET /"}


def machine(load: str) -> dict[str, Any]:
    """The date, the machine and the versions of a measurement."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load": load,
        "versions": {name: installed(name) for name in _PACKAGES},
    }


def document(
    about: Mapping[str, Any], plan: Plan, series: Sequence[Series], memory: Mapping[str, float]
) -> dict[str, Any]:
    """All results, for programs."""
    return {
        **about,
        "plan": asdict(plan),
        "memory_mib": {name: round(mib, 1) for name, mib in memory.items()},
        "series": [_series(one, series) for one in series],
    }


def _series(one: Series, series: Sequence[Series]) -> dict[str, Any]:
    measures = ("cpu_us", "rate", "p50_ms", "p99_ms")
    medians = {measure: round(one.median(measure), 3) for measure in measures}
    found: dict[str, Any] = {"contender": one.contender, "endpoint": one.endpoint, "via": one.via, **medians}
    for to in (SERVICE, REFERENCE):
        if other := find(series, to.name, one.endpoint, one.via):
            found[f"cpu_to_{to.name}"] = asdict(ratio(one, other, "cpu_us"))
            found[f"rate_to_{to.name}"] = asdict(ratio(one, other, "rate"))
    return found | {"samples": [asdict(sample) for sample in one.samples]}


def markdown(
    about: Mapping[str, Any],
    plan: Plan,
    contenders: Sequence[Contender],
    series: Sequence[Series],
    memory: Mapping[str, float],
) -> str:
    """A table for each endpoint. Ratios are calculated within rounds: CPU to FastAPI, CPU and rate to the service."""
    lines = [
        f"{about['date']}, Python {about['python']}, {about['cpus']} CPUs, {about['load']}, "
        f"{plan.connections} connections, {plan.rounds} rounds of {plan.seconds:g} s, {plan.rows:,} notes.",
        "",
    ]
    for via in plan.vias:
        for endpoint in plan.endpoints:
            lines += [
                f"{_ENDPOINTS[endpoint]}, {'directly' if via == 'direct' else 'through Envoy'}",
                "",
                f"| stack | CPU µs/request | of {REFERENCE.name}'s | of the service's | requests/s "
                "| of the service's | p50 ms | p99 ms | MiB |",
                "|---|---|---|---|---|---|---|---|---|",
            ]
            for contender in contenders:
                if one := find(series, contender.name, endpoint, via):
                    lines.append(_row(one, series, memory[contender.name]))
            lines.append("")
    return "\n".join(lines + [f"{contender.name}: {contender.what}  " for contender in contenders])


def _row(one: Series, series: Sequence[Series], memory: float) -> str:
    reference, service = (find(series, to.name, one.endpoint, one.via) for to in (REFERENCE, SERVICE))
    return " | ".join(
        [
            f"| {one.contender}",
            f"{one.median('cpu_us'):,.0f}",
            str(ratio(one, reference, "cpu_us")) if reference else "",
            str(ratio(one, service, "cpu_us")) if service else "",
            f"{one.median('rate'):,.0f}",
            str(ratio(one, service, "rate")) if service else "",
            f"{one.median('p50_ms'):.1f}",
            f"{one.median('p99_ms'):.1f}",
            f"{memory:.0f} |",
        ]
    )
