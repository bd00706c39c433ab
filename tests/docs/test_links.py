"""checks/links.py, which is part of `make lint`: what it finds, and what it leaves alone."""

from pathlib import Path

import pytest

from checks.links import PUBLISHED, check


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in which everything that is named exists."""
    files = {
        ".gitignore": ".secrets/\nmade.yaml\n",
        "README.md": "# It\n[a](docs/a.md#what-it-does-1), [b](#it), [c](https://a.example/c.md), `shop/till.py:3`\n",
        "docs/shelves.md": "`shelf.py`\n",
        "docs/a.md": "# What `it` does\n## What it does\n```\n# no heading\n```\n[up](../README.md)\n",
        "shop/__init__.py": "",
        "shop/till.py": '"""Used by shop.door; see docs/a.md."""\n\nOPEN = "nowhere/at_all.py"\n',
        "shop/new/shelf.py.template": "# it becomes shelf.py",
        "shop/door.py": "# till.py, shop.till.OPEN, shop/*.py, .secrets/key, made.yaml, NNNN_name.sql, /etc/x.py\n",
        "Makefile": f"all: # see shop/till.py and {PUBLISHED}docs/a.md#what-it-does\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_project_whose_names_all_exist_is_fine(project: Path) -> None:
    assert check(project) == []


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("README.md", "\n[a](docs/b.md)", "README.md:2: the link docs/b.md leads to no file"),
        ("README.md", "[a](docs/a.md#no)", "README.md:1: the link docs/a.md#no leads to no heading of docs/a.md"),
        ("README.md", "[a](#no)", "README.md:1: the link #no leads to no heading of README.md"),
        ("README.md", "[a][b]\n\n[b]: docs/c.png", "README.md:3: the link docs/c.png leads to no file"),
        ("README.md", '<img src="docs/c.png">', "README.md:1: the link docs/c.png leads to no file"),
        ("README.md", "`shop/tills.py`", "README.md:1: there is no shop/tills.py (is it shop/till.py?)"),
        ("README.md", "```\nmake test ARGS=shop/tests\n```", "README.md:2: there is no shop/tests"),
        ("docs/a.md", "[a](README.md)", "docs/a.md:1: the link README.md leads to no file (is it README.md?)"),
        ("shop/door.py", '"""Of x.\n\nSee keys.py."""\n', "shop/door.py:3: there is no keys.py"),
        ("shop/door.py", "X = 1  # see shop.keys\n", "shop/door.py:1: there is no shop.keys"),
        ("shop/door.py", "# the name shop.till.CLOSED\n", "shop/door.py:1: there is no shop.till.CLOSED"),
        ("tables.sql", "SELECT 1; -- see docs/b.md\n", "tables.sql:1: there is no docs/b.md"),
        ("run.sh", "true\n# see shop/*.sql\n", "run.sh:2: there is no shop/*.sql"),
        (
            "alerts.yaml",
            f"url: {PUBLISHED}docs/a.md#no\n",
            "alerts.yaml:1: the link docs/a.md#no leads to no heading",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_found(project: Path, file: str, text: str, found: str) -> None:
    (project / file).write_text(text)

    missing = [line for line in check(project) if line.startswith(f"{file}:")]

    assert len(missing) == 1
    assert missing[0].startswith(found)
