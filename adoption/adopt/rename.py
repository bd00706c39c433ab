"""From the old name to the new one, in texts and in paths."""

import re

ADDRESS = "https://git.example.com/"
"""Where the project's repository is, followed by its name, until REPOSITORY says it."""


class Renaming:
    """Replaces `old` in each of its forms: the name, the title (`Old`) in prose, and parts of identifiers.

    `repository` replaces the address of the repository; if it is "", that keeps its host.
    """

    def __init__(self, old: str, name: str, title: str, repository: str) -> None:
        self._name, self._title, self._repository = name, title, repository
        address = rf"(?P<address>{re.escape(ADDRESS + old)}\b(?!-))|" if repository else ""
        self._old = re.compile(rf"{address}(?P<name>{old})|(?P<title>{old.capitalize()})|(?P<constant>{old.upper()})")

    def __call__(self, text: str) -> str:
        return self._old.sub(self._new, text)

    def _new(self, found: re.Match[str]) -> str:
        before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
        match found.lastgroup:
            case "address":
                return self._repository
            case "name":  # a hyphen would end an identifier, such as a metric or a variable
                return self._name.replace("-", "_") if "_" in (before, after) else self._name
            case "title":
                in_identifier = re.match(r"\w", before) or re.match(r"\w", after)
                return "".join(part.capitalize() for part in self._name.split("-")) if in_identifier else self._title
            case _:
                return self._name.upper().replace("-", "_")
