"""The page at `/`: the project's own part, and below it the parts of the domains, which `Domain.page` describes."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).parent / "static"
FRAGMENT = "page.html"


class SignIn(NamedTuple):
    """How users sign in: settings that browsers get."""

    issuer: str
    """The address of the identity provider, or a path of the page's own origin."""
    client: str
    """The id that the pages have there."""


def assemble(
    parts: Mapping[str, Path], paths: Iterable[str], tools: Mapping[str, str], sign_in: SignIn | None = None
) -> bytes:
    """The page. Lists the paths of the API if there are no parts; links to the tools, which are addresses by name.

    Without `sign_in` there are no users, and nothing of the page is about them.
    """
    html = _text("index.html")
    for place, content in (
        ("head", "".join(_loaded(name, folder) for name, folder in parts.items())),
        ("users", _provider(sign_in) + _text("users.html") if sign_in else ""),
        ("user", _text("user.html") if sign_in else ""),
        ("tools", "".join(_tool(name, address) for name, address in tools.items())),
        (
            "parts",
            (_text("gate.html") if sign_in else "")
            + ("".join(_part(name, folder) for name, folder in parts.items()) or _list(paths)),
        ),
    ):
        html = html.replace(f"<!-- {place} -->", content.strip())
    return html.encode()


def assemble_docs(sign_in: SignIn | None = None) -> bytes:
    """The page of the API docs, whose Authorize button leads to the identity provider if there are users."""
    return _text("docs.html").replace("<!-- users -->", _provider(sign_in) if sign_in else "").encode()


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
    return _text("links.html").replace("<!-- links -->", items.strip())


def _provider(sign_in: SignIn) -> str:
    """Data for provider.js: the policy of the pages forbids scripts in them."""
    return f'<meta name="identity" content="{escape(sign_in.issuer)}" data-client="{escape(sign_in.client)}">\n'


def _text(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
