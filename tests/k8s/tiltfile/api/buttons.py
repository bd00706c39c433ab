"""Buttons, and the commands that a click runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.k8s.tiltfile.declared import Button, Command, Declared, Input, Location, StartOn, TextInput, TiltfileError
from tests.k8s.tiltfile.values import Functions, as_list, of_kind, opaque


class Buttons:
    def __init__(self, declared: Declared) -> None:
        self._declared = declared

    def functions(self) -> Functions:
        return {
            "v1alpha1.cmd": self._cmd,
            "v1alpha1.start_on_spec": _start_on_spec,
            "v1alpha1.ui_button": self._ui_button,
            "v1alpha1.ui_component_location": _ui_component_location,
            "v1alpha1.ui_input_spec": _ui_input_spec,
            "v1alpha1.ui_text_input_spec": _ui_text_input_spec,
        }

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
            of_kind(Location, location),
            requires_confirmation,
            tuple(of_kind(Input, item) for item in inputs),
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
            name, tuple(as_list(args)), dir, of_kind(StartOn, start_on), annotations or {}
        )


def _start_on_spec(ui_buttons: Sequence[str] = ()) -> Any:
    return opaque(StartOn(tuple(as_list(ui_buttons))))


def _ui_component_location(component_id: str = "", component_type: str = "") -> Any:
    return opaque(Location(component_id, component_type))


def _ui_input_spec(name: str, label: str = "", text: Any = None, bool: None = None, hidden: None = None) -> Any:
    return opaque(Input(name, label, of_kind(TextInput, text)))


def _ui_text_input_spec(default_value: str = "", placeholder: str = "") -> Any:
    return opaque(TextInput(default_value, placeholder))
