"""The output of the commands: steps with their times, then the log lines of every part."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TextIO

PALETTE = (
    "36",
    "32",
    "35",
    "33",
    "34",
    "96",
    "92",
    "95",
    "93",
    "94",
)  # ANSI foreground colours; red is left for errors
NAME_WIDTH = 12


class Console:
    """Writes whole lines to one stream. Uses colours only on a terminal without NO_COLOR (no-color.org)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        if isinstance(self._stream, TextIOWrapper):
            self._stream.reconfigure(errors="replace")  # the terminal may lack a character
        self._terminal = self._stream.isatty()
        self._coloured = self._terminal and not os.environ.get("NO_COLOR")
        self._colours: dict[str, str] = {}
        self._pending = ""

    def say(self, text: str = "") -> None:
        self._write(text + "\n")

    def log(self, part: str, text: str) -> None:
        """Writes a line of a part's output, after the part's name."""
        colour = self._colours.setdefault(part, PALETTE[len(self._colours) % len(PALETTE)])
        self._write(f"{self._paint(f'{part:>{NAME_WIDTH}} │', colour)} {text}\n")

    @contextmanager
    def step(self, part: str, what: str, slow: bool = False) -> Iterator[None]:
        """Shows a step while it runs, and afterwards how long it took. Removes the line if the step fails.

        Without a terminal it shows only slow ones while they run, in a line of their own.
        """
        label = f"{self._paint(f'{part:>{NAME_WIDTH}}', '1')}   {what:<56}"
        self._pending = f"{label} ..." if self._terminal else ""
        self._write(f"{label} ...\n" if slow and not self._terminal else "")
        begin = time.monotonic()
        try:
            yield
        except BaseException:
            self._pending = ""
            self._write("")
            raise
        self._pending = ""
        self._write(f"{label} {time.monotonic() - begin:6.2f} s\n")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def _write(self, text: str) -> None:
        """Keeps the running step on the last line."""
        if self._terminal:
            text = f"\r\x1b[K{text}{self._pending}"
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            pass  # the terminal was closed; the SIGHUP that follows stops the workbench
