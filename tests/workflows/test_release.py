"""What a release needs: the section of the CHANGELOG, and the commands that build, push and sign the image."""

import os
import subprocess
from pathlib import Path

import pytest

from checks.release import NoRelease, section

ROOT = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## Unreleased

### Added

- Not yet.

## 1.10.0 - 2026-02-01

### Added

- Ports.

### Fixed

- Tides.

## 1.1.0 - 2026-01-01

"""


def project(root: Path, version: str) -> Path:
    (root / "pyproject.toml").write_text(f'[project]\nname = "harbor"\nversion = "{version}"\n')
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    return root


def test_the_text_of_a_release_is_its_section(tmp_path: Path) -> None:
    assert section(project(tmp_path, "1.10.0"), "1.10.0") == "### Added\n\n- Ports.\n\n### Fixed\n\n- Tides."


@pytest.mark.parametrize(
    ("version", "asked", "error"),
    [
        ("1.10.0", "1.10.1", "pyproject.toml has the version 1.10.0, not 1.10.1"),
        ("1.2.0", "1.2.0", "CHANGELOG.md has no section `## 1.2.0 - YYYY-MM-DD`"),
        ("1.1.0", "1.1.0", "CHANGELOG.md has no section `## 1.1.0 - YYYY-MM-DD`"),  # it is empty
        ("Unreleased", "Unreleased", "CHANGELOG.md has no section"),
    ],
)
def test_there_is_no_release_without(tmp_path: Path, version: str, asked: str, error: str) -> None:
    with pytest.raises(NoRelease, match=error.replace(".", r"\.")):
        section(project(tmp_path, version), asked)


def make(*arguments: str, programs: Path) -> str:
    """What make prints, with a docker and a cosign that print their arguments."""
    for program in ("docker", "cosign"):
        (programs / program).write_text(f'#!/bin/sh\necho {program} "$@"\n')
        (programs / program).chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PIP_"))}
    variables = {**inherited, "PATH": f"{programs}:{os.environ['PATH']}"}
    command = ("make", "--no-print-directory", f"--include-dir={ROOT}", f"--file={ROOT / 'Makefile'}", *arguments)
    return subprocess.run(command, cwd=programs, env=variables, capture_output=True, text=True, check=True).stdout


def test_an_image_is_built_here_unless_it_is_pushed(tmp_path: Path) -> None:
    here = make("image", "IMAGE=harbor", "VERSION=1.2.3", programs=tmp_path).split()
    pushed = make(
        "image",
        "IMAGE=docks.example/harbor",
        "VERSION=1.2.3",
        "PUSH=yes",
        "PLATFORMS=linux/a,linux/b",
        programs=tmp_path,
    ).split()

    assert here[:4] == ["docker", "build", "--tag", "harbor:1.2.3"]
    assert "--push" not in here
    assert pushed[:3] == ["docker", "buildx", "build"]
    assert {"--push", "--sbom=true", "--provenance=mode=min", "linux/a,linux/b"} < {*pushed}
    assert pushed[pushed.index("--tag") + 1] == "docks.example/harbor:1.2.3"


def test_what_is_signed_is_what_was_pushed(tmp_path: Path) -> None:
    """Not what its tag leads to by now."""
    (tmp_path / "image.json").write_text(
        '{\n  "containerimage.descriptor": {\n    "digest": "sha256:2",\n    "size": 1\n  },\n'
        '  "containerimage.digest": "sha256:1",\n  "image.name": "docks.example/harbor:1.2.3"\n}\n'
    )

    signed = make("sign", "IMAGE=docks.example/harbor", programs=tmp_path)

    assert signed == "cosign sign --yes --recursive docks.example/harbor@sha256:1\n"
