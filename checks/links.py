"""Every file, heading and module that the project's text names has to exist: python -m checks.links

Checked, without a network:
- Markdown: relative links to files and headings, and the paths in code spans and code blocks;
- other sources: the paths and modules of the project that comments and docstrings name;
- everywhere: links to the project's published pages, such as those from alerts to their runbooks.
A path begins with a folder of the project, or is a file name such as `settings.py`, which some file must have.
Paths with placeholders (`NNNN_name.sql`, `<name>.yaml`) and files that .gitignore lists are not checked.
Each line on stderr is `file:line: what is missing`; the exit status is then 1.
"""

import io
import os
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
PUBLISHED = "https://git.example.com/slipway/blob/main/"  # where the pages can be read
NAMED = (".py", ".md", ".yaml", ".yml", ".sql", ".sh", ".tiltfile")  # file names with these endings are ours
COMMENTS = {".sql": r"--.*", ".css": r"(?s)/\*.*?\*/", ".js": r"(?s)/\*.*?\*/|//[^\n]*", ".html": r"(?s)<!--.*?-->"}
for _ending in (".yaml", ".yml", ".toml", ".sh", ".tiltfile", "Makefile", "Dockerfile", "Tiltfile", "run"):
    COMMENTS[_ending] = r"(?m)(?:^|(?<=\s))#.*"

CODE = re.compile(r"^```.*?^```$|(`+)(?!`).+?(?<!`)\1(?!`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)|^\[[^]]+\]: (\S+)|\b(?:src|href|srcset)=\"([^\"]+)", re.MULTILINE)
WORD = re.compile(r"[^\s`'\"()\[\],;|=]+")
MODULE = re.compile(r"(?<![\w./-])[a-z_]+(?:\.[A-Za-z_]\w*)+(?![\w/(-])")
PLACEHOLDER = re.compile(r"NNNN|NAME|\.\.\.|[<>{}$~@\\]|://")

Part = tuple[int, str]  # the line that a part of a file begins on, and a text


class Tree:
    """The files of the project at `root`, without those that .gitignore lists."""

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = (root / ".gitignore").read_text().splitlines()
        self._ignored = [".git", *(line.strip("/") for line in listed if line and not line.startswith("#"))]
        self.files = list(self._walk(root))
        self.paths = {*self.files, *(parent.as_posix() for file in self.files for parent in Path(file).parents)}

    def _walk(self, folder: Path) -> Iterator[str]:
        for entry in sorted(folder.iterdir()):
            if not (self._is_ignored(entry.name) or entry.is_symlink()):
                yield from self._walk(entry) if entry.is_dir() else [entry.relative_to(self.root).as_posix()]

    def _is_ignored(self, path: str) -> bool:
        return any(fnmatch(part, pattern) for part in path.split("/") for pattern in self._ignored)

    def text(self, file: str) -> str:
        return (self.root / file).read_text(encoding="utf-8", errors="replace")

    def lacks_path(self, word: str) -> bool:
        """Whether the word is a path of the project that no file or folder has."""
        path = re.sub(r"::?[\w:-]+$", "", word).rstrip("/").removeprefix("./")  # without a line or a test's name
        if PLACEHOLDER.search(word) or word.startswith("/") or self._is_ignored(path):
            return False
        if "/" in path and path.split("/")[0] in self.paths:
            return not any(fnmatch(known, path) for known in self.paths)
        # A template stands for the file that is made from it.
        made = (f"/{file.removesuffix('.template')}" for file in self.files)
        return path.endswith(NAMED) and not any(fnmatch(file, f"*/{path}") for file in made)

    def lacks_module(self, word: str) -> bool:
        """Whether the word begins with a package of the project, and names no module and nothing in a module."""
        path, *names = word.split(".")
        if f"{path}/__init__.py" not in self.files:
            return False
        for name in names:
            if f"{path}/{name}" not in self.paths and f"{path}/{name}.py" not in self.files:
                module = f"{path}.py" if f"{path}.py" in self.files else f"{path}/__init__.py"
                return not re.search(rf"\b{name}\b", self.text(module))
            path = f"{path}/{name}"
        return False

    def headings(self, file: str) -> set[str]:
        """The anchors of a Markdown file, by GitHub's rule."""
        anchors, seen = set(), Counter[str]()
        text = re.sub(r"(?ms)^```.*?^```$", "", self.text(file))
        for heading in re.findall(r"(?m)^#{1,6} (.+)$", text):
            shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip(" #").lower()
            slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
            anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return anchors

    def hint(self, path: str) -> str:
        names = {file.rpartition("/")[2]: file for file in self.files}
        found = get_close_matches(path.rstrip("/").rpartition("/")[2], names, 1)
        return f" (is it {names[found[0]]}?)" if found else ""


def check(root: Path = ROOT) -> list[str]:
    """`file:line: what is missing`, for each name that leads nowhere."""
    tree = Tree(root)
    return [f"{file}:{line}: {what}" for file in tree.files for line, what in sorted(set(_missing(tree, file)))]


def _missing(tree: Tree, file: str) -> Iterator[Part]:
    text = "" if file.endswith((".png", ".svg")) else tree.text(file)
    for found in re.finditer(rf"{re.escape(PUBLISHED)}([^\s\"'<>)]+)", text):
        yield from _missing_link(tree, "", found[1], _line(text, found.start()))
    if file.endswith(".md"):
        prose = CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)
        for found in LINK.finditer(prose):
            yield from _missing_link(tree, file, found[1] or found[2] or found[3], _line(text, found.start()))
    for first, part in _parts(file, text):
        for pattern, lacks in ((WORD, tree.lacks_path), (MODULE, tree.lacks_module)):
            for found in pattern.finditer(part):
                if lacks(word := found[0].rstrip(".:")):
                    yield first + _line(part, found.start()) - 1, f"there is no {word}{tree.hint(word)}"


def _missing_link(tree: Tree, file: str, target: str, line: int) -> Iterator[Part]:
    path, _, anchor = target.partition("#")
    goal = os.path.normpath(os.path.join(os.path.dirname(file), path)) if path else file
    if not re.match(r"[a-z]+:|//", target) and goal not in tree.paths:
        yield line, f"the link {target} leads to no file{tree.hint(goal)}"
    elif anchor and goal.endswith(".md") and anchor not in tree.headings(goal):
        yield line, f"the link {target} leads to no heading of {goal}"


def _parts(file: str, text: str) -> Iterator[Part]:
    """The code spans and blocks of Markdown, and the comments and docstrings of sources."""
    if file.endswith(".md"):
        yield from ((_line(text, code.start()), code[0]) for code in CODE.finditer(text))
    elif file.endswith(".py"):
        before = tokenize.NEWLINE
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            docstring = token.type == tokenize.STRING and before in (tokenize.NEWLINE, tokenize.INDENT)
            if docstring or token.type == tokenize.COMMENT:
                yield token.start[0], token.string
            if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.DEDENT):
                before = token.type
    elif comment := COMMENTS.get(Path(file).suffix or Path(file).name):
        yield from ((_line(text, found.start()), found[0]) for found in re.finditer(comment, text))


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


if __name__ == "__main__":
    sys.exit("\n".join(check()) or 0)
