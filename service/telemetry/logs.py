"""Logs to stdout: JSON for machines, text for people. The lines of a request carry its id, trace id and user."""

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, get_args

import orjson

from service import identity
from service.settings import LogLevel, Settings

logger = logging.getLogger("service.telemetry.logs")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""None unless requests are traced."""

# The attributes of every LogRecord. All others came with `extra=`, and are logged as fields.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# Characters that would break the line or control the terminal. Over HTTP/2, a path can contain them.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_COLOURS = {"DEBUG": "\033[2m", "WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31m"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


class JSONFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._common = {"service": settings.name, "version": settings.version, "instance": settings.instance}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        if (trace := trace_id.get()) is not None:
            line["trace_id"] = trace
        if (user := identity.caller.get()) is not None:
            line["user"] = user.user
        line |= _fields(record) | self._common
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, str).decode()
        except TypeError:  # text that is not valid Unicode, or a key that is not text
            return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text: time, level unless it is info, message, fields. A traceback follows."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        # The field "http" repeats the message of an access line, for machines.
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items() if name != "http")
        line = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], f"{time} {level}{record.getMessage()}{fields}")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        if self._colour and record.levelname in _COLOURS:
            line = f"{_COLOURS[record.levelname]}{line}\033[0m"
        return line


LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)


def level() -> str:
    """The name of the least severe level that is logged."""
    return logging.getLevelName(logging.getLogger().level).lower()


def set_level(name: LogLevel) -> None:
    """Change the level. The change itself is logged at any level."""
    root, before = logging.getLogger(), level()
    root.setLevel(min(root.level, logging.WARNING))
    logger.warning("log level changed from %s to %s", before, name)
    root.setLevel(name.upper())


def configure(settings: Settings) -> None:
    """Send the lines of every logger to stdout, in the format that the settings name."""
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stdout.isatty())
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(TextFormatter(colour=sys.stdout.isatty()) if text else JSONFormatter(settings))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    # Where a record comes from and in which thread is not shown; to find it out would cost each line a few µs.
    logging._srcfile = None  # see "Optimization" in the documentation of Python's logging
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # The servers log that they start and stop; `__main__` logs the same in terms of the service.
    for name in ("hypercorn.error", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
