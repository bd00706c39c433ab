"""pip, with what a person has configured for the network, and nothing else.

    python -m workbench.machine.pip .venv ARGUMENTS...

pip reads variables (PIP_TARGET) and files (pip.conf). A mirror, a proxy or a certificate has to count here too. All
other options would change where pip installs, whether it installs, or what, so they do not reach it.
"""

import configparser
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from workbench.errors import StepFailed

NETWORK = {
    *("index-url", "pypi-url", "extra-index-url", "no-index", "find-links", "keyring-provider"),
    *("cert", "client-cert", "trusted-host", "proxy", "timeout", "default-timeout", "retries", "resume-retries"),
    *("cache-dir", "no-cache-dir"),
    *("use-feature", "use-deprecated"),  # truststore, legacy-certs
}


def run(venv: Path, *arguments: str | Path, env: Mapping[str, str]) -> int:
    """Runs the pip of a virtual environment, with the variables `env`; returns its exit status.

    -I ignores PYTHONPATH, whose packages pip would take for installed ones, and the other PYTHON* variables.
    """
    python = venv / "bin" / "python"
    command = (python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments)
    return subprocess.run(command, env=env, check=False).returncode


def environment(variables: Mapping[str, str], venv: Path) -> dict[str, str]:
    """The variables for the pip of a virtual environment. Raises StepFailed if a pip.conf is invalid."""
    options = {_option(name.removeprefix("PIP_")): value for name, value in variables.items() if _is_pip(name)}
    # pip ignores variables without a value, so these would not win over a file either.
    options = _from_files(variables, venv) | {name: value for name, value in options.items() if value}
    return isolated(variables) | {_variable(name): value for name, value in options.items() if name in NETWORK}


def isolated(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables for a pip that has nothing configured."""
    return {name: value for name, value in variables.items() if not _is_pip(name)} | {"PIP_CONFIG_FILE": os.devnull}


def _is_pip(name: str) -> bool:
    return name.startswith("PIP_")


def _option(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _variable(option: str) -> str:
    return "PIP_" + option.upper().replace("-", "_")


def _from_files(variables: Mapping[str, str], venv: Path) -> dict[str, str]:
    """The options for `pip install` in all files. Its own section wins over [global] of any file."""
    parsers = [_read(path) for path in _files(variables, venv)]
    return {
        _option(name): value
        for section in ("global", "install")
        for parser in parsers
        if parser.has_section(section)
        for name, value in parser.items(section)
        if value
    }


def _read(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")  # nothing if the file is missing
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise StepFailed(f"{path} is not a configuration of pip ({reason}): correct or remove it") from error
    return parser


def _files(variables: Mapping[str, str], venv: Path) -> Iterable[Path]:
    """As in pip's documentation, "Configuration Files"; later ones win."""
    named = variables.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = Path(variables.get("HOME") or Path.home())
    if sys.platform == "darwin":
        system = [Path("/Library/Application Support/pip")]
        user = home / "Library/Application Support/pip"
        if not user.is_dir():
            user = home / ".config/pip"
    else:
        folders = (variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
        system = [*(Path(folder) / "pip" for folder in folders if folder), Path("/etc")]
        user = Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
    users = [] if named and Path(named).exists() else [home / ".pip", user]
    found = [folder / "pip.conf" for folder in (*system, *users, venv)]
    return [*found, Path(named)] if named else found


if __name__ == "__main__":
    folder = Path(sys.argv[1]).absolute()
    try:
        sys.exit(run(folder, *sys.argv[2:], env=environment(os.environ, folder)))
    except StepFailed as error:
        sys.exit(f"make: {error}")
