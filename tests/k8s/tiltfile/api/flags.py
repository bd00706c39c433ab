"""Flags: what `tilt up -- ...` is given."""

from collections.abc import Sequence
from typing import Any

from tests.k8s.tiltfile.declared import Declared, TiltfileError
from tests.k8s.tiltfile.values import Functions, as_list


class Flags:
    def __init__(self, declared: Declared, arguments: Sequence[str]) -> None:
        self._declared = declared
        self._arguments = arguments
        self._flags: dict[str, bool] = {}  # the name, and whether it may be given several times
        self._switches: set[str] = set()  # those of them that are true or false
        self._positional = ""

    def functions(self) -> Functions:
        return {
            "config.define_bool": self._define_bool,
            "config.define_string": self._define_string,
            "config.define_string_list": self._define_string_list,
            "config.parse": self._parse,
            "config.set_enabled_resources": self._set_enabled_resources,
        }

    def _define_string(self, name: str, args: bool = False, usage: str = "") -> None:
        self._define(name, args, several=False)

    def _define_bool(self, name: str, args: bool = False, usage: str = "") -> None:
        self._define(name, args, several=False)
        self._switches.add(name)

    def _define_string_list(self, name: str, args: bool = False, usage: str = "") -> None:
        self._define(name, args, several=True)

    def _define(self, name: str, positional: bool, *, several: bool) -> None:
        if name in self._flags:
            raise TiltfileError(f"{name} defined multiple times")
        if positional and self._positional:
            raise TiltfileError(f"both {name} and {self._positional} are defined as positional args")
        self._flags[name] = several
        if positional:
            self._positional = name

    def _parse(self) -> dict[str, Any]:
        """Only what was given is in it."""
        given: dict[str, list[str]] = {}
        rest = list(self._arguments)
        while rest:
            argument = rest.pop(0)
            if argument.startswith("--"):
                name, equals, value = argument[2:].partition("=")
                if name not in self._flags or name == self._positional:
                    raise TiltfileError(f"unknown flag: --{name}")
                if name in self._switches:
                    given[name] = [value if equals else "true"]
                    if given[name] not in (["true"], ["false"]):
                        raise TiltfileError(f"invalid boolean value {value!r} for --{name}")
                    continue
                if not equals and not rest:
                    raise TiltfileError(f"flag needs an argument: --{name}")
                given.setdefault(name, []).append(value if equals else rest.pop(0))
            elif self._positional:
                given.setdefault(self._positional, []).append(argument)
            else:
                raise TiltfileError(f"positional CLI args ({argument}) were specified, but none were expected")
        return {
            name: values == ["true"] if name in self._switches else values if self._flags[name] else values[-1]
            for name, values in given.items()
        }

    def _set_enabled_resources(self, resources: list[str]) -> None:
        self._declared.enabled = as_list(resources)
