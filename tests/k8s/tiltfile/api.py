"""The functions of Tilt that the Tiltfile may call, with the types of their arguments, as of Tilt 0.37.

A function or an argument that is not in the table is an error. Look it up in https://docs.tilt.dev/api.html, then add
it. The first two arguments have the order of Tilt's; the others can be given by name only.
"""

import inspect
import re
from dataclasses import dataclass
from typing import Any

import yaml

from tests.k8s.project import LOADER, Object

MODES = "TRIGGER_MODE_AUTO", "TRIGGER_MODE_MANUAL"
# `name:type` is required, `name=type` is not. `type*` is a list, `type+` is one value or a list.
_TABLE = """
allow_k8s_contexts contexts:text+
analytics_settings enable:flag
ci_settings k8s_grace_period=text timeout=text readiness_timeout=text
config.define_bool name:text args=flag usage=text
config.define_string name:text args=flag usage=text
config.define_string_list name:text args=flag usage=text
config.parse
config.set_enabled_resources resources:text*
decode_yaml_stream yaml:blob
docker_build ref:text context:text build_args=dict live_update=step* only=text+ target=text secret=text+
encode_yaml_stream objs:dict*
fail msg:text
fall_back_on paths:text+
filter_yaml yaml:blob labels=dict kind=text
k8s_context
k8s_custom_deploy name:text apply_cmd:text+ delete_cmd:text+ deps:text+
k8s_resource workload=text new_name=text port_forwards=text+ resource_deps=text* objects=text* pod_readiness=text
    links=link+ labels=text+
k8s_yaml yaml:blob+
kustomize path:text
link url:text name=text
local command:text+ quiet=flag echo_off=flag
local_resource name:text cmd=text+ trigger_mode=mode resource_deps=text* auto_init=flag allow_parallel=flag
    labels=text+
os.getenv key:text default=text
os.putenv key:text value:text
os.unsetenv key:text
read_yaml path:text
sync local_path:text remote_path:text
update_settings max_parallel_updates=number k8s_upsert_timeout_secs=number
v1alpha1.cmd name:text labels=dict annotations=dict args=text* dir=text start_on=v1alpha1.start_on_spec
v1alpha1.start_on_spec ui_buttons=text*
v1alpha1.ui_button name:text labels=dict annotations=dict location=v1alpha1.ui_component_location text=text
    icon_svg=text requires_confirmation=flag inputs=v1alpha1.ui_input_spec*
v1alpha1.ui_component_location component_id=text component_type=text
v1alpha1.ui_input_spec name:text label=text text=v1alpha1.ui_text_input_spec
v1alpha1.ui_text_input_spec default_value=text placeholder=text
version_settings check_updates=flag constraint=text
watch_file file_path:text
"""


class TiltfileError(Exception):
    """Tilt would stop at this Tiltfile. If it calls fail(), the text is the argument of that."""


class Blob:
    """A string that holds content, such as YAML documents. A plain string is a path, to Tilt."""

    def __init__(self, text: str = "", documents: list[Any] | None = None) -> None:
        self.text = text
        self._documents = documents

    @property
    def documents(self) -> list[Any]:
        if self._documents is None:
            self._documents = [document for document in yaml.load_all(self.text, LOADER) if document is not None]
        return self._documents

    @property
    def objects(self) -> list[Object]:
        """The Kubernetes objects, with the items of a List in its place, as Tilt reads them."""
        return [part for item in self.documents for part in (item["items"] if item["kind"] == "List" else [item])]


@dataclass(frozen=True)
class Call:
    """A call of a function of Tilt, with the arguments that it was given, by name. A constant is one without any."""

    function: str
    arguments: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]


# A type of Python, or the functions of Tilt that return such a value. Any other type in the table is a function.
_TYPES: dict[str, type | tuple[str, ...]] = {"blob": Blob, "dict": dict, "flag": bool, "number": int, "text": str}
_TYPES |= {"link": ("link",), "mode": MODES, "step": ("fall_back_on", "sync")}


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _is(kind: str, value: Any) -> bool:
    expected = _TYPES.get(kind, (kind,))
    if isinstance(expected, tuple):
        return isinstance(value, Call) and value.function in expected
    return isinstance(value, expected)


def _signature(line: str) -> tuple[str, inspect.Signature]:
    function, *arguments = line.split()
    parameters = []
    for index, argument in enumerate(arguments):
        name, kind = re.split("[:=]", argument)
        place = inspect.Parameter.POSITIONAL_OR_KEYWORD if index < 2 else inspect.Parameter.KEYWORD_ONLY
        parameter = inspect.Parameter(name, place, annotation=kind)
        parameters.append(parameter.replace(default=None) if "=" in argument else parameter)
    return function, inspect.Signature(parameters)


SIGNATURES = dict(map(_signature, _TABLE.strip().replace("\n    ", " ").splitlines()))


def bind(function: str, positional: tuple[Any, ...], named: dict[str, Any]) -> Call:
    """The call, with all arguments by name. Raises TiltfileError for arguments that Tilt would refuse."""
    try:
        given = SIGNATURES[function].bind(*positional, **named).arguments
    except TypeError as error:
        raise TiltfileError(f"{function}: {error}") from None
    for name, value in given.items():
        kind = SIGNATURES[function].parameters[name].annotation
        one, several = kind.rstrip("*+"), isinstance(value, list | tuple)
        values = value if several and kind != one else [value]
        if (kind.endswith("*") and not several) or not all(_is(one, item) for item in values):
            raise TiltfileError(f"{function}: {name} has to be of the type {kind}, and is {value!r}")
    return Call(function, given)
