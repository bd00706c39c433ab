"""What a Tiltfile declares, and the errors of a wrong one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.k8s.kustomization import Object


class TiltfileError(Exception):
    """The Tiltfile is wrong: Tilt would stop at it."""


class TiltfileFailed(TiltfileError):
    """It called fail(); str() is what it said."""


class TriggerMode(Enum):
    AUTO = "TRIGGER_MODE_AUTO"
    MANUAL = "TRIGGER_MODE_MANUAL"


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

    def add(self, resource: Resource) -> Resource:
        if resource.name in self.resources:
            raise TiltfileError(f"there are two resources {resource.name}")
        self.resources[resource.name] = resource
        return resource

    def note(self, path: str) -> str:
        """Keeps a path that was named, and returns it."""
        self.paths.add(path)
        return path


def identity(item: Object) -> tuple[str, str, str, str]:
    """What no other object of a cluster has: group, kind, namespace and name."""
    group, slash, _ = item["apiVersion"].partition("/")
    metadata = item["metadata"]
    return group if slash else "", item["kind"], metadata.get("namespace", ""), metadata["name"]


def all_objects(declared: Declared) -> list[Object]:
    return [item for resource in declared.resources.values() for item in resource.objects]


def commands(declared: Declared) -> list[tuple[str, ...]]:
    """All that would run on this machine."""
    return [
        *(command for resource in declared.resources.values() for command in resource.commands),
        *(command.args for command in declared.commands.values()),
    ]
