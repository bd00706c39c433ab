"""The page at `/`: the project's own part, and below it the parts of the domains, which `Domain.page` describes."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

STATIC = Path(__file__).parent / "static"
FRAGMENT = "page.html"


def assemble(parts: Mapping[str, Path], paths: Iterable[str], tools: Mapping[str, str]) -> bytes:
    """The page. Lists the paths of the API if there are no parts; links to the tools, which are addresses by name."""
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    for place, content in (
        ("head", "".join(_loaded(name, folder) for name, folder in parts.items())),
        ("tools", "".join(_tool(name, address) for name, address in tools.items())),
        ("parts", "".join(_part(name, folder) for name, folder in parts.items()) or _list(paths)),
    ):
        html = html.replace(f"<!-- {place} -->", content.strip())
    return html.encode()


def files_of(part: Path) -> frozenset[str]:
    """The names of the files of a part that browsers may load."""
    return frozenset(path.name for path in part.iterdir() if path.is_file() and path.name != FRAGMENT)


def _loaded(name: str, part: Path) -> str:
    tags = {
        "page.css": f'<link rel="stylesheet" href="/static/{name}/page.css">\n',
        "page.js": f'<script type="module" src="/static/{name}/page.js"></script>\n',
    }
    return "".join(tag for file, tag in tags.items() if (part / file).exists())


def _part(name: str, part: Path) -> str:
    return f'<div id="{name}-part">\n{(part / FRAGMENT).read_text(encoding="utf-8")}</div>\n'


def _tool(name: str, address: str) -> str:
    return f'<li><a href="{escape(address)}" target="_blank" rel="noopener">{name.capitalize()}</a></li>'


def _list(paths: Iterable[str]) -> str:
    items = "".join(f'<li><a href="{escape(path)}"><code>{escape(path)}</code></a></li>\n' for path in paths)
    return (STATIC / "links.html").read_text(encoding="utf-8").replace("<!-- links -->", items.strip())
