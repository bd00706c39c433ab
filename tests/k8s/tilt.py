"""Runs the Tiltfile where there is no tilt, and says what it declares.

Here is what of Tilt's API this project uses, with the signatures and the rules of Tilt 0.37, and nothing else: any
other name or keyword is an error. What Tilt would do later, with a cluster, is not here.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

import starlark
import yaml

from tests.k8s.kustomization import Object, build, pod_template

Strings = str | Sequence[str]  # one, or several of them

UNCATEGORIZED = "uncategorized"

# The library's own loader and dumper are some ten times slower.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class TiltfileError(Exception):
    """The Tiltfile is wrong: Tilt would stop at it."""


class TiltfileFailed(TiltfileError):
    """It called fail(); str() is what it said."""


class TriggerMode(Enum):
    AUTO = "TRIGGER_MODE_AUTO"
    MANUAL = "TRIGGER_MODE_MANUAL"


class Blob:
    """A string that is content, where a plain string would be a path."""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def of(cls, documents: Iterable[object]) -> "Blob":
        return cls(yaml.dump_all(documents, Dumper=_Dumper))

    @cached_property
    def documents(self) -> list[Any]:
        return [document for document in yaml.load_all(self.text, _Loader) if document is not None]

    @property
    def objects(self) -> list[Object]:
        """Those of a List each for themselves, as Tilt takes them."""
        return [item for document in self.documents for item in _unpacked(document)]


@dataclass(frozen=True)
class Link:
    url: str
    name: str


@dataclass(frozen=True)
class Sync:
    local: str
    remote: str


@dataclass(frozen=True)
class FallBackOn:
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Image:
    ref: str
    context: str
    dockerfile: str
    target: str
    only: tuple[str, ...]
    build_args: Mapping[str, str]
    secret: tuple[str, ...]
    live_update: tuple[Sync | FallBackOn, ...]


@dataclass(frozen=True)
class TextInput:
    default_value: str
    placeholder: str


@dataclass(frozen=True)
class Input:
    name: str
    label: str
    text: TextInput | None


@dataclass(frozen=True)
class Location:
    component_id: str
    component_type: str


@dataclass(frozen=True)
class Button:
    name: str
    text: str
    icon: str
    location: Location | None
    confirm: bool
    inputs: tuple[Input, ...]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class StartOn:
    buttons: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    name: str
    args: tuple[str, ...]
    folder: str
    start_on: StartOn | None
    annotations: Mapping[str, str]


@dataclass
class Resource:
    """One line of Tilt's UI."""

    name: str
    objects: list[Object] = field(default_factory=list)
    commands: list[tuple[str, ...]] = field(default_factory=list)  # of a local resource or a custom deploy
    labels: set[str] = field(default_factory=set)
    deps: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    auto_init: bool = True
    trigger_mode: TriggerMode = TriggerMode.AUTO
    allow_parallel: bool = False
    pod_readiness: str = ""
    port_forwards: list[str] = field(default_factory=list)


@dataclass
class Declared:
    """What a Tiltfile asks of Tilt."""

    resources: dict[str, Resource] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    buttons: dict[str, Button] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # each function's last call
    contexts: list[str] = field(default_factory=list)
    enabled: list[str] = field(default_factory=list)  # none: all
    paths: set[str] = field(default_factory=set)  # all that were named, relative to the Tiltfile
    printed: list[str] = field(default_factory=list)

    @property
    def graph(self) -> dict[str, set[str]]:
        return {name: set(resource.deps) for name, resource in self.resources.items()}


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


def identity(item: Object) -> tuple[str, str, str, str]:
    """What no other object of a cluster has: group, kind, namespace and name."""
    group, slash, _ = item["apiVersion"].partition("/")
    metadata = item["metadata"]
    return group if slash else "", item["kind"], metadata.get("namespace", ""), metadata["name"]


@dataclass(frozen=True)
class _ResourceCall:
    """A k8s_resource(): Tilt follows them when it has read the whole file."""

    workload: str
    new_name: str
    objects: list[str]
    changes: Callable[[Resource], None]


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
        self._machine = local
        self._arguments = arguments
        self._context = context
        self._environment = environment
        self._declared = Declared()
        self._objects: list[Object] = []
        self._calls: list[_ResourceCall] = []
        self._flags: dict[str, bool] = {}  # the name, and whether it may be given several times
        self._switches: set[str] = set()  # those of them that are true or false
        self._positional = ""
        self._failure: str | None = None
        self._modules: dict[Path, starlark.FrozenModule] = {}

        self._dialect = starlark.Dialect.extended()
        self._dialect.enable_top_level_stmt = True
        self._dialect.enable_f_strings = False
        self._dialect.enable_load_reexport = False
        self._dialect.enable_types = starlark.DialectTypes.DISABLE
        self._globals = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])

        self._constants: dict[str, Any] = {
            **{mode.value: _opaque(mode) for mode in TriggerMode},
            "config.main_dir": str(root),
            "config.main_path": str(root / "Tiltfile"),
            "config.tilt_subcommand": subcommand,
        }
        self._functions: dict[str, Callable[..., Any]] = {
            "str": _str,
            "print": self._print,
            "fail": self._fail,
            "local": self._local,
            "link": _link,
            "sync": self._sync,
            "fall_back_on": self._fall_back_on,
            "read_yaml": self._read_yaml,
            "watch_file": self._watch_file,
            "kustomize": self._kustomize,
            "filter_yaml": _filter_yaml,
            "decode_yaml_stream": _decode_yaml_stream,
            "encode_yaml_stream": _encode_yaml_stream,
            "k8s_context": lambda: self._context,
            "allow_k8s_contexts": self._allow_k8s_contexts,
            "k8s_yaml": self._k8s_yaml,
            "k8s_resource": self._k8s_resource,
            "k8s_custom_deploy": self._k8s_custom_deploy,
            "local_resource": self._local_resource,
            "docker_build": self._docker_build,
            "version_settings": self._version_settings,
            "analytics_settings": self._analytics_settings,
            "ci_settings": self._ci_settings,
            "update_settings": self._update_settings,
            "os.getenv": self._getenv,
            "config.define_bool": self._define_bool,
            "config.define_string": self._define_string,
            "config.define_string_list": self._define_string_list,
            "config.parse": self._parse,
            "config.set_enabled_resources": self._set_enabled_resources,
            "v1alpha1.cmd": self._cmd,
            "v1alpha1.start_on_spec": _start_on_spec,
            "v1alpha1.ui_button": self._ui_button,
            "v1alpha1.ui_component_location": _ui_component_location,
            "v1alpha1.ui_input_spec": _ui_input_spec,
            "v1alpha1.ui_text_input_spec": _ui_text_input_spec,
        }

    def run(self) -> Declared:
        try:
            self._evaluate(self._root / "Tiltfile")
        except starlark.StarlarkError as error:
            # What was raised in Python arrives as a part of its text.
            if self._failure is not None:
                raise TiltfileFailed(self._failure) from None
            raise TiltfileError(str(error)) from error
        self._assemble()
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

    # The language and the machine.

    def _print(self, *values: Any, sep: str = " ") -> None:
        self._declared.printed.append(sep.join(map(_str, values)))

    def _fail(self, msg: str) -> None:
        self._failure = msg
        raise TiltfileFailed(msg)

    def _local(
        self,
        command: Strings,
        quiet: bool = False,
        command_bat: Strings = "",
        echo_off: bool = False,
        env: Mapping[str, str] | None = None,
        dir: str = "",
        stdin: str | Blob | None = None,
    ) -> Any:
        return _opaque(Blob(self._machine(list(_command(command)))))

    def _getenv(self, key: str, default: str | None = None) -> str | None:
        return self._environment.get(key, default)

    # Files.

    def _path(self, path: str) -> str:
        self._declared.paths.add(path)
        return path

    def _watch_file(self, file_path: str) -> None:
        self._path(file_path)

    def _read_yaml(self, path: str, default: Any = None) -> Any:
        file = self._root / self._path(path)
        if default is not None and not file.exists():
            return default
        return yaml.load(file.read_text(), _Loader)  # noqa: S506 - a safe one

    def _kustomize(self, path: str, kustomize_bin: str = "", flags: Sequence[str] = ()) -> Any:
        return _opaque(Blob(_built(self._root / self._path(path))))

    # What Kubernetes gets.

    def _allow_k8s_contexts(self, contexts: Strings) -> None:
        self._declared.contexts += _strings(contexts)

    def _k8s_yaml(self, yaml: Any, allow_duplicates: bool = False) -> None:
        for source in yaml if isinstance(yaml, list) else [yaml]:
            blob = source if isinstance(source, Blob) else Blob((self._root / self._path(source)).read_text())
            for item in blob.objects:
                if not allow_duplicates and identity(item) in map(identity, self._objects):
                    raise TiltfileError(f"Duplicate YAML: {identity(item)}")
                self._objects.append(item)

    def _k8s_resource(
        self,
        workload: str = "",
        new_name: str = "",
        port_forwards: Any = (),
        extra_pod_selectors: Any = (),
        trigger_mode: TriggerMode | None = None,
        resource_deps: Sequence[str] = (),
        objects: Sequence[str] = (),
        auto_init: bool | None = None,
        pod_readiness: str = "",
        links: Any = (),
        labels: Strings = (),
        discovery_strategy: str = "",
    ) -> None:
        if not workload and not new_name:
            raise TiltfileError("Resource name missing.")
        if not workload and not objects:
            raise TiltfileError(f"{new_name}: k8s_resource doesn't specify a workload or any objects.")
        if pod_readiness not in ("", "ignore", "wait"):
            raise TiltfileError(f"{workload}: pod_readiness is {pod_readiness!r}")
        if trigger_mode is not None:
            TriggerMode(trigger_mode)

        def change(resource: Resource) -> None:
            resource.deps += _list(resource_deps)
            resource.links += _links(links)
            resource.labels |= set(_labels(labels))
            resource.trigger_mode = trigger_mode or resource.trigger_mode
            resource.auto_init = resource.auto_init if auto_init is None else auto_init
            resource.pod_readiness = pod_readiness or resource.pod_readiness
            resource.port_forwards += _strings(port_forwards) if port_forwards else []

        self._calls.append(_ResourceCall(workload, new_name, _list(objects), change))

    def _k8s_custom_deploy(
        self,
        name: str,
        apply_cmd: Strings,
        delete_cmd: Strings,
        deps: Strings,
        image_selector: str = "",
        live_update: Sequence[Any] = (),
        apply_dir: str = "",
        apply_env: Mapping[str, str] | None = None,
        apply_cmd_bat: Strings = "",
        delete_dir: str = "",
        delete_env: Mapping[str, str] | None = None,
        delete_cmd_bat: Strings = "",
        container_selector: str = "",
        image_deps: Sequence[str] = (),
    ) -> None:
        for path in _strings(deps):
            self._path(path)
        self._new(Resource(name, commands=[_command(apply_cmd), _command(delete_cmd)]))

    def _new(self, resource: Resource) -> Resource:
        if resource.name in self._declared.resources:
            raise TiltfileError(f"there are two resources {resource.name}")
        self._declared.resources[resource.name] = resource
        return resource

    def _assemble(self) -> None:
        """Puts each object into a resource, in Tilt's order: workloads, their Services, then what was asked for."""
        workloads = [item for item in self._objects if pod_template(item) is not None]
        free = [item for item in self._objects if pod_template(item) is None]
        names = Counter(_components(item)[0] for item in workloads)
        for item in workloads:
            name = _components(item)[0]
            if names[name] > 1:
                raise TiltfileError(f"two workloads are called {name}: Tilt would name their resources otherwise")
            services = [other for other in free if _leads_to(other, item)]
            free = [other for other in free if other not in services]
            self._new(Resource(name, [item, *services]))

        for call in self._calls:
            if call.workload:
                if call.workload not in self._declared.resources:
                    raise TiltfileError(f"k8s_resource specified unknown resource {call.workload!r}")
                resource = self._declared.resources[call.workload]
                if call.new_name not in ("", resource.name):
                    del self._declared.resources[resource.name]
                    resource.name = call.new_name
                    self._new(resource)
            else:
                resource = self._new(Resource(call.new_name, pod_readiness="ignore"))
            call.changes(resource)
            for selector in call.objects:
                found = self._selected(selector)
                if found not in free:
                    raise TiltfileError(f"{resource.name}: {selector} is in another resource already")
                free.remove(found)
                resource.objects.append(found)
        if free:
            self._new(Resource(UNCATEGORIZED, free))

    def _selected(self, selector: str) -> Object:
        """The one object that is called like that, among all of them."""
        parts = [part.replace("\\:", ":").lower() for part in re.split(r"(?<!\\):", selector)]
        if not 1 <= len(parts) <= 3:
            raise TiltfileError(f"{selector}: a selector has one to three parts")
        found = [item for item in self._objects if _components(item)[: len(parts)] == parts]
        if len(found) != 1:
            raise TiltfileError(f"{selector} matches {len(found)} objects: {[*map(identity, found)]}")
        return found[0]

    # What this machine does.

    def _local_resource(
        self,
        name: str,
        cmd: Strings = "",
        deps: Strings | None = None,
        trigger_mode: TriggerMode = TriggerMode.AUTO,
        resource_deps: Sequence[str] = (),
        ignore: Strings = "",
        auto_init: bool = True,
        serve_cmd: Strings = "",
        cmd_bat: Strings = "",
        serve_cmd_bat: Strings = "",
        allow_parallel: bool = False,
        links: Any = (),
        labels: Strings = (),
        env: Mapping[str, str] | None = None,
        serve_env: Mapping[str, str] | None = None,
        readiness_probe: None = None,
        dir: str = "",
        serve_dir: str = "",
    ) -> None:
        for path in _strings(deps or []):
            self._path(path)
        self._new(
            Resource(
                name,
                commands=[_command(command) for command in (cmd, serve_cmd) if command],
                labels=set(_labels(labels)),
                deps=_list(resource_deps),
                links=_links(links),
                auto_init=auto_init,
                trigger_mode=TriggerMode(trigger_mode),
                allow_parallel=allow_parallel,
            )
        )

    # Images.

    def _sync(self, local_path: str, remote_path: str) -> Any:
        if not remote_path.startswith("/"):
            raise TiltfileError(f"sync destination {remote_path!r} is not absolute")
        return _opaque(Sync(self._path(local_path), remote_path))

    def _fall_back_on(self, paths: Strings) -> Any:
        return _opaque(FallBackOn(tuple(self._path(path) for path in _strings(paths))))

    def _docker_build(
        self,
        ref: str,
        context: str,
        build_args: Mapping[str, str] | None = None,
        dockerfile: str = "Dockerfile",
        dockerfile_contents: str | Blob = "",
        live_update: Sequence[Any] = (),
        match_in_env_vars: bool = False,
        ignore: Strings = "",
        only: Strings = (),
        entrypoint: Strings = "",
        target: str = "",
        ssh: Strings = "",
        network: str = "",
        secret: Strings = "",
        extra_tag: Strings = "",
        container_args: list[str] | None = None,
        cache_from: Strings = "",
        pull: bool = False,
        platform: str = "",
        extra_hosts: Strings = "",
    ) -> None:
        if ref in self._declared.images:
            raise TiltfileError(f"Image for ref {ref!r} has already been defined")
        steps = tuple(live_update)
        if not all(isinstance(step, Sync | FallBackOn) for step in steps):
            raise TiltfileError(f"{ref}: live_update takes steps, not {steps}")
        kinds = [isinstance(step, Sync) for step in steps]
        if kinds != sorted(kinds):
            raise TiltfileError(f"{ref}: fall_back_on comes before sync")
        args = build_args or {}
        _strings(list(args.values()))
        self._declared.images[ref] = Image(
            ref,
            self._path(context),
            self._path(dockerfile),
            target,
            tuple(_strings(only)),
            args,
            tuple(filter(None, _strings(secret))),
            steps,
        )

    # Settings.

    def _version_settings(self, check_updates: bool = True, constraint: str = "") -> None:
        self._declared.settings["version"] = {"check_updates": check_updates, "constraint": constraint}

    def _analytics_settings(self, enable: bool) -> None:
        self._declared.settings["analytics"] = {"enable": enable}

    def _ci_settings(self, k8s_grace_period: str = "", timeout: str = "30m", readiness_timeout: str = "5m") -> None:
        self._declared.settings["ci"] = {"timeout": timeout, "readiness_timeout": readiness_timeout}

    def _update_settings(
        self,
        max_parallel_updates: int = 3,
        k8s_upsert_timeout_secs: int = 30,
        suppress_unused_image_warnings: Strings | None = None,
        k8s_server_side_apply: str = "auto",
    ) -> None:
        self._declared.settings["update"] = {
            "max_parallel_updates": max_parallel_updates,
            "k8s_upsert_timeout_secs": k8s_upsert_timeout_secs,
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
        self._declared.enabled = _list(resources)

    # Buttons.

    def _ui_button(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        location: Location | None = None,
        text: str = "",
        icon_name: str = "",
        icon_svg: str = "",
        disabled: bool = False,
        requires_confirmation: bool = False,
        inputs: Sequence[Input] = (),
    ) -> None:
        if name in self._declared.buttons:
            raise TiltfileError(f"there are two buttons {name}")
        self._declared.buttons[name] = Button(
            name,
            text,
            icon_svg,
            _of(Location, location),
            requires_confirmation,
            tuple(_of(Input, item) for item in inputs),
            annotations or {},
        )

    def _cmd(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        dir: str = "",
        env: Sequence[str] = (),
        readiness_probe: None = None,
        restart_on: None = None,
        start_on: StartOn | None = None,
        disable_source: None = None,
    ) -> None:
        if name in self._declared.commands:
            raise TiltfileError(f"there are two commands {name}")
        self._declared.commands[name] = Command(
            name, tuple(_list(args)), dir, _of(StartOn, start_on), annotations or {}
        )


_builds: dict[bytes, str] = {}


def _built(folder: Path) -> str:
    """Once for the same files, as it takes longer than all the rest: most copies of the project differ elsewhere."""
    digest = hashlib.sha256(folder.name.encode())
    for file in sorted(path for path in folder.parents[1].rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder.parents[1])).encode() + file.read_bytes())
    return _builds.get(digest.digest()) or _builds.setdefault(digest.digest(), Blob.of(build(folder)).text)


def _str(value: Any) -> str:
    if isinstance(value, Blob):
        return value.text
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError(f"the text of a {type(value).__name__} would be another one in Tilt")
    return str(value)


def _link(url: str, name: str = "") -> Any:
    return _opaque(Link(url, name))


def _filter_yaml(
    yaml: Any,
    labels: Mapping[str, str] | None = None,
    name: str = "",
    namespace: str = "",
    kind: str = "",
    api_version: str = "",
) -> list[Any]:
    matching: list[Object] = []
    rest: list[Object] = []
    for item in _of(Blob, yaml).objects:
        metadata = item["metadata"]
        fields = (
            (name, metadata["name"]),
            (namespace, metadata.get("namespace", "default")),
            (kind, item["kind"]),
            (api_version, item["apiVersion"]),
        )
        has = metadata.get("labels", {})
        matches = all(re.search(pattern, value, re.IGNORECASE) for pattern, value in fields) and all(
            has.get(label) == value for label, value in (labels or {}).items()
        )
        (matching if matches else rest).append(item)
    return [_opaque(Blob.of(matching)), _opaque(Blob.of(rest))]


def _decode_yaml_stream(yaml: Any) -> list[Any]:
    return list((yaml if isinstance(yaml, Blob) else Blob(yaml)).documents)


def _encode_yaml_stream(objs: list[Any]) -> Any:
    return _opaque(Blob.of(objs))


def _start_on_spec(ui_buttons: Sequence[str] = ()) -> Any:
    return _opaque(StartOn(tuple(_list(ui_buttons))))


def _ui_component_location(component_id: str = "", component_type: str = "") -> Any:
    return _opaque(Location(component_id, component_type))


def _ui_input_spec(name: str, label: str = "", text: Any = None, bool: None = None, hidden: None = None) -> Any:
    return _opaque(Input(name, label, _of(TextInput, text)))


def _ui_text_input_spec(default_value: str = "", placeholder: str = "") -> Any:
    return _opaque(TextInput(default_value, placeholder))


def _opaque(value: object) -> Any:
    """It comes back from Starlark as it was, where a plain value would be converted."""
    return starlark.OpaquePythonObject(value)


def _of(kind: type[Any], value: Any) -> Any:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value


def _list(value: Any) -> list[str]:
    """A list of strings, where Tilt takes nothing else."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{value!r} is not a list of strings")
    return list(value)


def _strings(value: Any) -> list[str]:
    """Where Tilt takes one as well as a list of them."""
    return [value] if isinstance(value, str) else _list(value)


def _labels(value: Any) -> list[str]:
    labels = _strings(value)
    for label in labels:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", label):
            raise TiltfileError(f"Invalid label {label!r}")
    return labels


def _links(value: Any) -> list[Link]:
    return [
        item if isinstance(item, Link) else Link(_of(str, item), "")
        for item in (value if isinstance(value, list | tuple) else [value])
    ]


def _command(value: Strings) -> tuple[str, ...]:
    """A string is the shell's."""
    return ("sh", "-c", value) if isinstance(value, str) else tuple(_list(value))


def _unpacked(document: Object) -> list[Object]:
    if (document["apiVersion"], document["kind"]) != ("v1", "List"):
        return [document]
    return [inner for item in document["items"] for inner in _unpacked(item)]


def _components(item: Object) -> list[str]:
    """What a selector names, in this order and in small letters. To Tilt, without a namespace is `default`."""
    metadata = item["metadata"]
    return [part.lower() for part in (metadata["name"], item["kind"], metadata.get("namespace") or "default")]


def _leads_to(service: Object, workload: Object) -> bool:
    """Whether it is a Service, and the workload's pods are among those that it selects."""
    if identity(service)[:2] != ("", "Service"):
        return False
    selector: dict[str, str] = service["spec"].get("selector") or {}
    labels: dict[str, str] = (pod_template(workload) or {}).get("metadata", {}).get("labels", {})
    same_namespace = _components(service)[2] in ("default", _components(workload)[2])
    return bool(selector) and selector.items() <= labels.items() and same_namespace
