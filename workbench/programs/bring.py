"""Brings the programs that are missing, and says first what is used and what is fetched."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from workbench.console import Console
from workbench.errors import StepFailed
from workbench.machine.folders import ROOT
from workbench.programs import alertmanager, chromium, debian, network, prometheus

TITLES = {"chromium": "Chromium", "prometheus": "Prometheus", "alertmanager": "Alertmanager"}
NAMES = tuple(TITLES)
OPTIONAL = ("alertmanager",)
"""Those that only Debian's packages bring. What needs them is left out on other machines that lack them."""

LOCKED = ROOT / ".venv"
"""The folder that a run locks while it fetches programs."""

_DOWNLOADS = {"chromium": "Playwright's Chromium", "prometheus": f"Prometheus {prometheus.VERSION}"}
_NAMED = {"chromium": "name one with CHROMIUM=/path", "prometheus": "name it with PROMETHEUS=/path PROMTOOL=/path"}

Reasons = Mapping[str, list[str]]
"""Of each program that is missing, why each way to it fails."""


class Missing(StepFailed):
    """Says why, and how to get the programs. `names` are those that are missing."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = names


def bring(names: Sequence[str], console: Console) -> None:
    """Makes sure that find() of each program finds it. Says what is used, before it fetches anything.

    An optional program may still be missing then, which it says.
    Raises UsageError for a variable that names no program, and Missing if there is no way to a program.
    """
    found = _find(names)
    if all(found.values()):
        console.say(_first_line(found, {}))
        return
    with exclusive(console):
        found = _find(names)  # the other run may have brought it
        reasons: Reasons = {name: [] for name, path in found.items() if not path and name not in OPTIONAL}
        extras = [name for name in OPTIONAL if name in found and not found[name] and debian.is_possible()]
        sizes = _sizes(reasons)
        by_apt = [name for name in reasons if name not in sizes] if debian.is_possible() else []
        plan = {name: f"{_DOWNLOADS[name]} (fetching {network.megabytes([size])})" for name, size in sizes.items()}
        plan |= {name: f"{TITLES[name]} (installing Debian's packages)" for name in by_apt}
        if len(plan) == len(reasons):  # otherwise the tests cannot run, so nothing is fetched
            plan |= {name: f"{TITLES[name]} (installing Debian's packages)" for name in extras}
            console.say(_first_line(found, plan))
            if not by_apt or _update(by_apt, reasons, console):
                _fetch(sizes, reasons, console)
                missing = _missing(reasons)
                if missing and debian.is_possible() and (by_apt or _update(missing, reasons, console)):
                    _install(missing, reasons, console)
            if extras and not _missing(reasons):
                _try(extras, console)
    if missing := _missing(reasons):
        blocked = [name for name in missing if reasons[name]] or missing  # the others were not even tried
        raise Missing(_advice(blocked, reasons), blocked)


def absent() -> set[str]:
    """The optional programs that this machine does not have."""
    return {name for name, path in _find(OPTIONAL).items() if path is None}


def _try(extras: Sequence[str], console: Console) -> None:
    """Installs optional programs, or says that they are left out."""
    reasons: Reasons = {name: [] for name in extras}
    if _update(extras, reasons, console):
        _install(extras, reasons, console)
    for name in _missing(reasons):
        console.say(f"{_left_out(name)}: {'; '.join(reasons[name])}")


def _find(names: Sequence[str]) -> Mapping[str, str | None]:
    programs = prometheus.find() if "prometheus" in names else None
    alerting = alertmanager.find() if "alertmanager" in names else None
    each = {
        "chromium": chromium.find() if "chromium" in names else None,
        "prometheus": programs.prometheus if programs else None,
        "alertmanager": alerting.alertmanager if alerting else None,
    }
    return {name: each[name] for name in names}


def _missing(reasons: Reasons) -> Sequence[str]:
    return [name for name, path in _find(list(reasons)).items() if path is None]


def _first_line(found: Mapping[str, str | None], plan: Mapping[str, str]) -> str:
    used = [plan.get(name) or f"{TITLES[name]} ({path})" for name, path in found.items() if path or name in plan]
    lacking = [name for name, path in found.items() if not path and name not in plan]
    left_out = [f"{_left_out(name)} (Debian: apt install {alertmanager.PACKAGE})" for name in lacking]
    return ", ".join([*([f"using {' and '.join(used)}"] if used else []), *left_out])


def _left_out(name: str) -> str:
    return f"without {TITLES[name]}, whose tests are left out"


def _sizes(reasons: Reasons) -> Mapping[str, int | None]:
    """The downloads that can be reached, with their bytes if the server says them."""
    addresses: dict[str, Sequence[str]] = {}
    for name in reasons:
        with _noted(reasons, name):
            addresses[name] = [prometheus.address()] if name == "prometheus" else chromium.addresses()
    answers = network.probe([address for each in addresses.values() for address in each])
    sizes: dict[str, int | None] = {}
    for name, each in addresses.items():
        with _noted(reasons, name):
            sizes[name] = network.first_reachable(each, answers).size
    return sizes


def _fetch(sizes: Mapping[str, int | None], reasons: Reasons, console: Console) -> None:
    """Side by side: Playwright's download is a process of its own."""
    if not sizes:
        return
    what = " and ".join(_DOWNLOADS[name] for name in sizes)
    with console.step("download", f"{what}, {network.megabytes(sizes.values())}"):
        begun: AbstractContextManager[Callable[[], None]] = nullcontext(lambda: None)
        if "chromium" in sizes:
            begun = chromium.fetching()
        with begun as finish:
            if "prometheus" in sizes:
                with _noted(reasons, "prometheus"):
                    prometheus.fetch()
            with _noted(reasons, "chromium"):
                finish()
    if "chromium" in sizes:
        with _noted(reasons, "chromium"):
            chromium.check()


def _update(names: Sequence[str], reasons: Reasons, console: Console) -> bool:
    try:
        with console.step("apt-get", "update"):
            debian.update()
    except StepFailed as error:
        for name in names:
            reasons[name].append(str(error))
        return False
    return True


def _install(names: Sequence[str], reasons: Reasons, console: Console) -> None:
    for name in names:
        packages = _packages(name)
        with _noted(reasons, name):
            size = network.megabytes([debian.size(packages)])
            what = " ".join(packages) if len(packages) < 3 else f"{len(packages)} libraries of {TITLES[name]}"
            with console.step("apt-get", f"{what}, {size}"):
                debian.install(packages)


def _packages(name: str) -> Sequence[str]:
    if name == "chromium":
        return chromium.packages()
    return [alertmanager.PACKAGE if name == "alertmanager" else name]


@contextmanager
def _noted(reasons: Reasons, name: str) -> Iterator[None]:
    """A way that fails is not the end: there may be another one."""
    try:
        yield
    except StepFailed as error:
        reasons[name].append(str(error))


def _advice(missing: Sequence[str], reasons: Reasons) -> str:
    why = "; ".join(dict.fromkeys(reason for name in missing for reason in reasons[name]))
    if "chromium" in missing and chromium.brought():
        install = "install the libraries of Chromium (sudo .venv/bin/playwright install-deps chromium)"
    else:
        packages = [each for name in missing for each in _packages(name)]
        install = f"install the packages (Debian: apt install --no-install-recommends {' '.join(packages)})"
    titles = " and ".join(TITLES[name] for name in missing)
    ways = ", or ".join([install, *(_NAMED[name] for name in missing)])
    return f"missing: {titles}, which cannot be fetched ({why}): {ways}"


@contextmanager
def exclusive(console: Console) -> Iterator[None]:
    """One run brings programs; the others wait, and then find them."""
    LOCKED.mkdir(exist_ok=True)
    descriptor = os.open(LOCKED, os.O_RDONLY)  # a lock on the folder leaves no file behind
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say("waiting for another run that fetches programs")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
