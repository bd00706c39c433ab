"""Opens connections, with the password that is valid now.

Passwords come from files that are read for each new connection, so that a password can change while the service runs.
Two of them are valid for a moment then, see docs/database.md.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

_REFUSED = (
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.ProtocolViolationError,  # from PgBouncer, which has no code of its own for a wrong password
)


class Connecting:
    """How one role connects: with the passwords of `files`, in their order, or with the one that is `given`."""

    def __init__(self, files: Sequence[Path], given: SecretStr | None = None) -> None:
        self._files = files
        self._given = given

    async def __call__(self, *arguments: Any, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """What asyncpg.connect() returns and raises. If a password is refused, tries the next one.

        Raises OSError if there are files, and none of them can be read.
        """
        *others, last = self._passwords()
        for password in others:
            try:
                return await asyncpg.connect(*arguments, **options, password=password)
            except _REFUSED:
                continue
        return await asyncpg.connect(*arguments, **options, password=last)

    def _passwords(self) -> list[str | None]:
        if not self._files:
            return [self._given.get_secret_value() if self._given else None]
        found: list[str | None] = []
        for file in self._files:
            try:
                found.append(file.read_text(encoding="utf-8").removesuffix("\n"))
            except FileNotFoundError:
                continue  # there is a second password only while it changes
        if not found:
            raise FileNotFoundError(f"no password: there is no file {' or '.join(map(str, self._files))}")
        return found
