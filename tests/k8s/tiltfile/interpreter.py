"""Runs the Tiltfile without Tilt, and returns what it declares.

A function of Tilt checks its arguments (api.py) and records its call. Those that also return something are here. What
Tilt does afterwards in a cluster is not imitated.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import starlark

from tests.k8s.kustomization import build
from tests.k8s.project import Object
from tests.k8s.tiltfile.api import MODES, SIGNATURES, Blob, Call, TiltfileError, as_list, bind
from tests.k8s.tiltfile.declared import Declared, assemble

opaque = starlark.OpaquePythonObject  # comes back from Starlark as it was; other values are converted
_GLOBALS = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
_DIALECT = starlark.Dialect.extended()
_DIALECT.enable_top_level_stmt = True
_DIALECT.enable_f_strings = False
_DIALECT.enable_types = starlark.DialectTypes.DISABLE
_built = cache(build)  # which takes longer than all the rest


def run(
    root: Path,
    machine: Callable[[list[str]], str],
    *,
    flags: Mapping[str, Any] | None = None,
    subcommand: str = "up",
    context: str = "",
    environment: Mapping[str, str] | None = None,
) -> Declared:
    """What root/Tiltfile declares. Raises TiltfileError if Tilt would stop at it.

    `machine` takes a command and returns its output. `flags` are those of Tilt's command line, after `--`, or of
    tilt_config.json.
    """
    calls: list[Call] = []
    printed: list[str] = []
    returns: dict[str, Callable[[Call], Any]] = {
        "config.parse": lambda _: _flags(calls, flags or {}),
        "decode_yaml_stream": lambda call: call["yaml"].documents,
        "encode_yaml_stream": lambda call: opaque(Blob(documents=call["objs"])),
        "filter_yaml": lambda call: _filter_yaml(**call.arguments),
        "k8s_context": lambda _: context,
        "kustomize": lambda call: opaque(Blob(documents=deepcopy(_built((root / call["path"]).resolve())))),
        "local": lambda call: opaque(Blob(machine(as_list(call["command"])))),
        "os.getenv": lambda call: (environment or {}).get(call["key"], call.arguments.get("default")),
        "read_yaml": lambda call: Blob((root / call["path"]).read_text()).documents[0],
    }

    def function(name: str) -> Callable[..., Any]:
        def called(*positional: Any, **named: Any) -> Any:
            calls.append(bind(name, positional, named))
            if name == "fail":
                raise TiltfileError(calls[-1]["msg"])
            return returns.get(name, opaque)(calls[-1])

        return called

    names: dict[str, Any] = {name: function(name) for name in SIGNATURES}
    names |= {"print": printed.append, "str": lambda value: value.text if isinstance(value, Blob) else str(value)}
    names |= {"config.main_dir": str(root), "config.tilt_subcommand": subcommand}
    names |= {mode: opaque(Call(mode, {})) for mode in MODES}
    try:
        _evaluate(root / "Tiltfile", names)
    except starlark.StarlarkError as error:  # its text includes that of an exception that was raised in Python
        if calls and calls[-1].function == "fail":
            raise TiltfileError(calls[-1]["msg"]) from None
        raise TiltfileError(str(error)) from error
    return Declared(calls, assemble(calls), printed)


def _evaluate(file: Path, names: Mapping[str, Any]) -> starlark.FrozenModule:
    """Evaluates a file, and those that it loads, each with the same functions and constants."""
    module = starlark.Module()
    loader = starlark.FileLoader(lambda path: _evaluate(file.parent / path, names))
    spaces: dict[str, list[str]] = {}
    for name, value in names.items():
        space, dot, attribute = name.rpartition(".")
        if dot:
            spaces.setdefault(space, []).append(f"{attribute}={space}_{attribute}")
        if callable(value):
            module.add_callable(name.replace(".", "_"), value)
        else:
            module[name.replace(".", "_")] = value
    # Python cannot make a struct, so Starlark makes the namespaces config, os and v1alpha1 out of flat names.
    prelude = "".join(f"{space} = struct({', '.join(fields)})\n" for space, fields in spaces.items())
    for name, text in (("namespaces", prelude), (str(file), file.read_text())):
        starlark.eval(module, starlark.parse(name, text, _DIALECT), _GLOBALS, loader)
    return module.freeze()


def _flags(calls: Sequence[Call], given: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, if the Tiltfile defines each of them, once and with that type."""
    types = {"config.define_bool": bool, "config.define_string": str, "config.define_string_list": list}
    defined = [(call["name"], types[call.function]) for call in calls if call.function in types]
    if len(dict(defined)) < len(defined):
        raise TiltfileError(f"a flag is defined multiple times: {defined}")
    unknown = {name: value for name, value in given.items() if not isinstance(value, dict(defined).get(name, ()))}
    if unknown:
        raise TiltfileError(f"unknown flags, or values of another type: {unknown}")
    return dict(given)


def _filter_yaml(yaml: Blob, labels: Mapping[str, str] | None = None, kind: str = "") -> list[Any]:
    """The objects that have all of these labels and this kind, and the other ones."""
    found: dict[bool, list[Object]] = {True: [], False: []}
    for item in yaml.objects:
        has_labels = (labels or {}).items() <= item["metadata"].get("labels", {}).items()
        found[has_labels and re.search(kind, item["kind"], re.IGNORECASE) is not None].append(item)
    return [opaque(Blob(documents=found[matching])) for matching in (True, False)]
