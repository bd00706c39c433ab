"""The files of migrations: their names, their texts, and the lines in them that say how to apply them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from service.database.schema import SchemaVersion
from service.database.statements import statements

DIRECTORY = Path(__file__).parents[1] / "migrations"

_FIRST = "shared"
_NAME = re.compile(r"(?P<number>[0-9]{4})_(?P<name>.+)\.sql")
_LINE = re.compile(r"^--[ \t]*(?P<name>breaks-old-code|no-transaction):[ \t]*(?P<reason>.*?)[ \t]*$", re.MULTILINE)

_OF_TRANSACTIONS = (
    *((word,) for word in ("abort", "begin", "commit", "end")),
    *(("rollback", word) for word in ("and", "transaction", "work")),  # and ROLLBACK alone, but not ROLLBACK TO
    *((word, "transaction") for word in ("prepare", "start")),
)
"""How statements begin that begin or end a transaction."""


class MigrationError(Exception):
    """The schema cannot be brought up to date. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    sequence: str
    """The name of its folder in migrations/; "" if it is in none."""
    version: int
    name: str
    sql: str

    @property
    def file(self) -> str:
        return file_name(self.sequence, self.version, self.name)

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def reasons(self) -> dict[str, str]:
        """The lines `-- breaks-old-code: REASON` and `-- no-transaction: REASON`, by their first word."""
        return {line["name"]: line["reason"] for line in _LINE.finditer(self.sql)}

    @property
    def alone(self) -> bool:
        """Whether its statement runs outside a transaction."""
        return "no-transaction" in self.reasons

    def check(self) -> None:
        """Raises MigrationError for a text that cannot be applied as it is meant."""
        for name, reason in self.reasons.items():
            if not reason:
                raise MigrationError(f"{self.file}: the line `-- {name}:` gives no reason: write one behind it")
        found = list(statements(self.sql))
        if not found:
            raise MigrationError(f"{self.file} has no statement: write one, or remove the file")
        for line, words in found:
            if words == ("rollback",) or any(words[: len(first)] == first for first in _OF_TRANSACTIONS):
                raise MigrationError(
                    f"{self.file}, line {line}: {' '.join(words).upper()}: each file is one transaction, which is "
                    "begun and ended for it; remove the statement, or divide the file"
                )
        if self.alone and len(found) > 1:
            raise MigrationError(
                f"{self.file}, line {found[1].line}: a file with the line `-- no-transaction` may have only one "
                "statement, because nothing would undo the first one: divide the file"
            )


def read(directory: Path = DIRECTORY) -> list[Migration]:
    """All migrations, in order. Raises MigrationError for a wrong file name, encoding, or a number used twice."""
    folders = sorted(path.name for path in directory.iterdir() if path.is_dir())
    folders.sort(key=lambda name: name != _FIRST)
    sequences = [*(_read(directory / name, name) for name in folders), _read(directory, "")]
    return [migration for sequence in sequences for migration in sequence]


def _read(directory: Path, sequence: str) -> list[Migration]:
    migrations: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise MigrationError(f"{path.name}: the name of a migration must be NNNN_name.sql, such as 0002_tags.sql")
        version = int(name["number"])
        if version in migrations:
            raise MigrationError(
                f"{path.name}: {migrations[version].file} has number {version} too; use the next free number"
            )
        migrations[version] = Migration(sequence, version, name["name"], _text(path))
    return [migrations[version] for version in sorted(migrations)]


def _text(path: Path) -> str:
    try:
        sql = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise MigrationError(f"{path.name} is not UTF-8 ({where}): save it as UTF-8") from None
    if sql.startswith("\ufeff"):
        raise MigrationError(f"{path.name} begins with a byte order mark: save it as UTF-8 without one")
    return sql


def expected_version(directory: Path = DIRECTORY) -> SchemaVersion:
    """The schema version that this code needs."""
    return {migration.sequence: migration.version for migration in read(directory)}


def file_name(sequence: str, version: int, name: str) -> str:
    return f"{sequence}{'/' if sequence else ''}{version:04}_{name}.sql"
