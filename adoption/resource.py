"""`make resource NAME=booking [PLURAL=bookings]` writes a small resource that works, to be edited into your own.

It makes new files only, from adoption/resource_template/: the domain, its migration and its tests. Nothing that
exists is edited, because the service finds its domains, and tests and ingress rules go by what is registered.
"""

import ast
import builtins
import keyword
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Template

from adoption.errors import AdoptionError

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "adoption" / "resource_template"
MIGRATIONS = Path("service/migrations")

_SUFFIX = ".template"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LENGTH = 30  # characters, so that no line of the template becomes too long
_TAKEN = {
    **dict.fromkeys(("events", "events_pruned", "idempotency_keys", "schema_migrations"), "a table of the service"),
    "things": "a table of the tests",
    **dict.fromkeys(("pages", "docs", "static"), "a path or a part of the service"),
    **dict.fromkeys(("import", "export"), "the paths of streams"),
    **dict.fromkeys(("livez", "readyz", "metrics", "healthz", "debug"), "a path that the ingress must not answer"),
}
_RESERVED = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
concurrently constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
returning right select session_user similar some symmetric system_user table tablesample then to trailing true union
unique user using variadic verbose when where window with
"""
RESERVED = frozenset(_RESERVED.split())
"""What PostgreSQL does not take as the name of a table."""
_MODEL = re.compile(r"(?m)^class (\w+)\(.*\bBaseModel\b")


def plural_of(name: str) -> str:
    """The English plural of a noun, by rule; PLURAL=... is for the exceptions."""
    if re.search(r"[^aeiou]y$", name):
        return f"{name[:-1]}ies"
    return f"{name}es" if re.search(r"(s|x|z|ch|sh)$", name) else f"{name}s"


def write(name: str, plural: str = "", root: Path = ROOT) -> list[Path]:
    """Writes the files of the resource below `root`; returns their paths. Raises AdoptionError before it writes."""
    plural = plural or plural_of(name)
    _check(name, plural, root)
    files = dict(_files(name, plural, root))
    existing = [str(path) for path in files if (root / path).exists()]
    if existing:
        raise AdoptionError(f"{existing[0]} exists already: choose another NAME, or delete that file")
    written = []
    try:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
            written.append(root / path)
    except OSError as error:
        for file in written:
            file.unlink()
        for folder in _folders(plural):
            shutil.rmtree(root / folder, ignore_errors=True)
        raise AdoptionError(f"no file is written: {error}") from error
    _format(root, files)
    return list(files)


def _check(name: str, plural: str, root: Path) -> None:
    problems = []
    for variable, value in (("NAME", name), ("PLURAL", plural)):
        if not _NAME.fullmatch(value):
            problems.append(
                f"{variable}={value} is not a name such as booking or berth_charge: lowercase letters and digits, "
                "words joined by _"
            )
        elif keyword.iskeyword(value) or value in dir(builtins):
            problems.append(f"{variable}={value} is a word of Python: choose another name")
        elif len(value) > _LENGTH:
            problems.append(f"{variable}={value} is longer than {_LENGTH} characters: choose a shorter name")
    if name == plural:
        problems.append(f"NAME and PLURAL are both {name}: PLURAL is the name of the table and of the path")
    if plural in _TAKEN:
        problems.append(f"PLURAL={plural} is taken: {_TAKEN[plural]} has this name; choose another one")
    if plural in RESERVED or plural.startswith("pg_"):
        problems.append(f"PLURAL={plural} is a word of PostgreSQL, and no name of a table: choose another one")
    for folder in _folders(plural):
        if (root / folder).exists():
            problems.append(f"{folder}/ exists already: choose another name, or delete the folder")
    problems = problems or [*_taken_models(name, root)]
    if problems:
        raise AdoptionError("\n".join(problems))


def _folders(plural: str) -> tuple[str, str]:
    return f"service/domains/{plural}", f"tests/{plural}"


def _taken_models(name: str, root: Path) -> Iterator[str]:
    """The description of the API has one schema of a name, and a module one meaning."""
    found = dict.fromkeys(_used_by_the_template(), "the template of models.py has another use for this name")
    for file in sorted((root / "service").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        every = re.findall(r"(?m)^class (\w+)", text) if file.name == "models.py" else _MODEL.findall(text)
        found |= dict.fromkeys(every, f"{file.relative_to(root)} has it")
    for suffix in ("", "Content", "Page"):
        if reason := found.get(model := _words(name, "", "")["Name"] + suffix):
            yield f"NAME={name} would make a model {model}, which is taken: {reason}; choose another name"


def _used_by_the_template() -> Iterator[str]:
    text = (TEMPLATE / "domain" / f"models.py{_SUFFIX}").read_text()
    for statement in ast.parse(Template(text).substitute(_words("x", "xs", ""))).body:
        match statement:
            case ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name for alias in names)
            case ast.Assign(targets=[ast.Name(id=target)]):
                yield target


def _files(name: str, plural: str, root: Path) -> Iterator[tuple[Path, str]]:
    migration = _next_migration(root, plural)
    words = _words(name, plural, migration.name)
    for template in sorted(TEMPLATE.rglob(f"*{_SUFFIX}")):
        path = Path(str(template.relative_to(TEMPLATE)).removesuffix(_SUFFIX))
        if path.name == "migration.sql":
            target = migration
        elif path.parts[0] == "domain":
            target = Path("service/domains", plural, *path.parts[1:])
        else:
            target = Path("tests", plural, *path.parts[1:-1], path.name.replace("test_domain", f"test_{plural}"))
        yield target, Template(template.read_text()).substitute(words)


def _format(root: Path, paths: Iterable[Path]) -> None:
    """The length of a name decides where lines break."""
    python = [str(path) for path in paths if path.suffix == ".py"]
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *python], cwd=root, check=True)


def _next_migration(root: Path, plural: str) -> Path:
    numbers = [int(path.name[:4]) for path in (root / MIGRATIONS).glob("[0-9][0-9][0-9][0-9]_*.sql")]
    return MIGRATIONS / f"{max(numbers, default=0) + 1:04}_{plural}.sql"


def _words(name: str, plural: str, migration: str) -> Mapping[str, str]:
    return {
        "name": name,
        "Name": "".join(word.capitalize() for word in name.split("_")),
        "words": name.replace("_", " "),
        "plural": plural,
        "plural_words": plural.replace("_", " "),
        "Plural_words": plural.replace("_", " ").capitalize(),
        "path": f"/{plural.replace('_', '-')}",
        "migration": migration,
    }


def main() -> int:
    name = os.environ.get("NAME", "")
    try:
        if not name:
            raise AdoptionError("which resource? For example: make resource NAME=booking")
        written = write(name, os.environ.get("PLURAL", ""))
    except AdoptionError as error:
        sys.stderr.write("".join(f"resource: {line}\n" for line in str(error).splitlines()))
        return 1
    sys.stdout.write("".join(f"resource: wrote {path}\n" for path in written))
    path = _words(name, os.environ.get("PLURAL", "") or plural_of(name), "")["path"]
    sys.stdout.write(f"resource: `make dev` serves it at {path}; docs/adopt.md says what to edit\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
