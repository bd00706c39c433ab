"""The statements in a text of SQL: where each begins, and with which words."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<space>\s+ | --[^\n]* | /\*.*?\*/)
    | (?P<quoted>
          \b[eE]'(?:[^'\\]|\\.|'')*'  # with escapes
        | '(?:[^']|'')*'
        | "(?:[^"]|"")*"
        | (?P<dollar>\$(?:[^\W\d]\w*)?\$) .*? (?P=dollar)
      )
    | (?P<word>\w+)
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)


class Statement(NamedTuple):
    line: int
    """Where it begins; the first line is 1."""
    words: tuple[str, ...]
    """Its first two words, in lower case."""


def statements(sql: str) -> Iterator[Statement]:
    """Every statement that is not empty. The body of a function, `BEGIN ATOMIC ... END`, is part of its statement."""
    begin, words = None, list[str]()
    atomic = first = False  # within such a body, at the beginning of one of its statements
    for token in _TOKEN.finditer(sql):
        if token["space"]:
            continue
        word = (token["word"] or "").lower()
        if token["end"] and not atomic:
            if begin is not None:
                yield Statement(_line(sql, begin), tuple(words[:2]))
            begin, words = None, []
            continue
        begin = token.start() if begin is None else begin
        if word == "atomic" and words[-1:] == ["begin"]:
            atomic = True
        elif word == "end" and first:
            atomic = False
        first = atomic and bool(token["end"])
        words.append(word)
    if begin is not None:
        yield Statement(_line(sql, begin), tuple(words[:2]))


def _line(sql: str, position: int) -> int:
    return sql.count("\n", 0, position) + 1
