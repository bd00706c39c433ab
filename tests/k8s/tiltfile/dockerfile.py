"""What the Dockerfile and .dockerignore say."""

import posixpath
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.k8s.kustomization import ROOT


@dataclass(frozen=True)
class Stage:
    """A FROM of the Dockerfile and what follows."""

    base: str
    instructions: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == name]


def stages() -> dict[str, Stage]:
    """By name; before the first one, as ``""``, what is outside of all."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found = {"": Stage("", [])}
    current = found[""]
    for line in filter(None, re.sub(r"\\\n", " ", text).splitlines()):
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            current = found[name] = Stage(base, [])
        else:
            current.instructions.append((instruction, rest))
    return found


def ancestry(name: str) -> list[Stage]:
    """The stage, and those that it is made from, the oldest first."""
    stage = stages().get(name)
    return [*ancestry(stage.base), stage] if stage else []


def needed(name: str) -> set[str]:
    """The stages that are built for this one."""
    if name not in stages():
        return set()
    copied = [source for copy in stages()[name].all("COPY") for source in re.findall(r"--from=(\S+)", copy)]
    return {name}.union(*map(needed, [stages()[name].base, *copied]))


def copies(name: str) -> dict[str, tuple[str, list[str]]]:
    """Where the stage's copies of the context end up: the source, and the options."""
    folder, found = "/", {}
    for stage in ancestry(name):
        for instruction, rest in stage.instructions:
            words = shlex.split(rest)
            options = [word for word in words if word.startswith("--")]
            if instruction == "WORKDIR":
                folder = posixpath.join(folder, rest)
            elif instruction == "COPY" and not any(option.startswith("--from") for option in options):
                *sources, target = words[len(options) :]
                for source in sources:
                    inside = (
                        target + Path(source).name if target.endswith("/") and (ROOT / source).is_file() else target
                    )
                    found[posixpath.normpath(posixpath.join(folder, inside))] = (source, options)
    return found


def lets_through(path: str) -> bool:
    """Whether .dockerignore does: its last pattern that matches the path, or a folder above it, decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        expression = "".join(
            {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
            for part in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern)
        )
        if re.fullmatch(f"{expression}(/.*)?", path):
            kept = line.startswith("!")
    return kept
