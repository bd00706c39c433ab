"""A git-ignored file .env with settings of the service."""

from pathlib import Path

from workbench.errors import UsageError
from workbench.machine.folders import ROOT

ENV_FILE = ROOT / ".env"


def read_env_file(path: Path) -> dict[str, str]:
    """Lines of SERVICE_NAME=value. Quotes are part of the value. Lines that begin with # are comments.

    The file is optional. Raises UsageError, which names the line, or why the file cannot be read.
    """
    settings: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.startswith("SERVICE_") or not name.isidentifier() or "\0" in value:
            raise UsageError(f"{path.name}, line {number}: expected SERVICE_NAME=value, found {line!r}")
        settings[name] = value.strip()
    return settings


def _text(path: Path) -> str:
    """The text of a file, or nothing if there is none."""
    try:
        if path.exists() and not path.is_file():  # a FIFO would keep its reader waiting for a writer
            raise UsageError(
                f"{path.name} is not a file: move it away, or make it a file of SERVICE_NAME=value lines"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read ({error.strerror}): make it readable for this user") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path.name}, line {line}: byte {content[error.start]:#04x} is not UTF-8: save the file as UTF-8"
        ) from error
