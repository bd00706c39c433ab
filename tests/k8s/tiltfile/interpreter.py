"""Runs the Tiltfile where there is no tilt, and says what it declares.

Here and in api/ is what of Tilt's API this project uses, with the signatures and the rules of Tilt 0.37, and nothing
else: any other name or keyword is an error. What Tilt would do later, with a cluster, is not here.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import starlark

from tests.k8s.tiltfile.api.buttons import Buttons
from tests.k8s.tiltfile.api.flags import Flags
from tests.k8s.tiltfile.api.images import Images
from tests.k8s.tiltfile.api.local import Local
from tests.k8s.tiltfile.api.manifests import Manifests
from tests.k8s.tiltfile.api.resources import Resources
from tests.k8s.tiltfile.api.settings import Settings
from tests.k8s.tiltfile.declared import Declared, TiltfileError, TiltfileFailed, TriggerMode
from tests.k8s.tiltfile.values import Functions, as_text, opaque


def run(
    root: Path,
    local: Callable[[list[str]], str],
    *,
    arguments: Sequence[str] = (),
    subcommand: str = "up",
    context: str = "",
    environment: Mapping[str, str] | None = None,
) -> Declared:
    """What root/Tiltfile declares.

    `local` is the machine: it takes a command and returns what that prints. `arguments` are those after `--`; what a
    developer keeps in tilt_config.json does not count here. Raises TiltfileError.
    """
    return _Tiltfile(root, local, arguments, subcommand, context, environment or {}).run()


class _Tiltfile:
    def __init__(
        self,
        root: Path,
        local: Callable[[list[str]], str],
        arguments: Sequence[str],
        subcommand: str,
        context: str,
        environment: Mapping[str, str],
    ) -> None:
        self._root = root
        self._declared = Declared()
        self._resources = Resources(self._declared, root)
        self._failure: str | None = None
        self._modules: dict[Path, starlark.FrozenModule] = {}

        self._dialect = starlark.Dialect.extended()
        self._dialect.enable_top_level_stmt = True
        self._dialect.enable_f_strings = False
        self._dialect.enable_load_reexport = False
        self._dialect.enable_types = starlark.DialectTypes.DISABLE
        self._globals = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])

        self._constants: dict[str, Any] = {
            **{mode.value: opaque(mode) for mode in TriggerMode},
            "config.main_dir": str(root),
            "config.main_path": str(root / "Tiltfile"),
            "config.tilt_subcommand": subcommand,
        }
        self._functions: Functions = {
            "str": as_text,
            "print": self._print,
            "fail": self._fail,
            **Local(local, environment, context).functions(),
            **Manifests(self._declared, root).functions(),
            **self._resources.functions(),
            **Images(self._declared).functions(),
            **Buttons(self._declared).functions(),
            **Settings(self._declared).functions(),
            **Flags(self._declared, arguments).functions(),
        }

    def run(self) -> Declared:
        try:
            self._evaluate(self._root / "Tiltfile")
        except starlark.StarlarkError as error:
            # What was raised in Python arrives as a part of its text.
            if self._failure is not None:
                raise TiltfileFailed(self._failure) from None
            raise TiltfileError(str(error)) from error
        self._resources.assemble()
        return self._declared

    def _evaluate(self, file: Path) -> starlark.Module:
        module = starlark.Module()
        namespaces: dict[str, list[str]] = {}
        for name, value in {**self._constants, **self._functions}.items():
            # Python cannot make a struct, so a namespace is put together over there out of flat names.
            space, dot, attribute = name.rpartition(".")
            flat = f"_{space}_{attribute}" if dot else name
            if dot:
                namespaces.setdefault(space, []).append(f"{attribute}={flat}")
            if name in self._functions:
                module.add_callable(flat, value)
            else:
                module[flat] = value
        prelude = "".join(f"{space} = struct({', '.join(fields)})\n" for space, fields in namespaces.items())
        starlark.eval(module, starlark.parse("prelude", prelude, self._dialect), self._globals)

        parsed = starlark.parse(str(file), file.read_text(), self._dialect)
        loader = starlark.FileLoader(lambda path: self._load(file.parent / path))
        starlark.eval(module, parsed, self._globals, loader)
        return module

    def _load(self, file: Path) -> starlark.FrozenModule:
        file = file.resolve()
        if file not in self._modules:
            self._modules[file] = self._evaluate(file).freeze()
        return self._modules[file]

    def _print(self, *values: Any, sep: str = " ") -> None:
        self._declared.printed.append(sep.join(map(as_text, values)))

    def _fail(self, msg: str) -> None:
        self._failure = msg
        raise TiltfileFailed(msg)
