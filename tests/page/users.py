"""What tests of users on a page share: a gateway that wants tokens, a provider, and what people do there."""

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page, expect

from tests.page.browser import Conduct
from tests.page.elements import button
from tests.page.provider import PageProvider
from tests.servers import SERVER
from tests.waiting import PATIENT
from tests.workbench.ingress.tokens import HOUR, claims
from workbench.machine.folders import MANIFESTS
from workbench.options import StackOptions

USERS: dict[str, dict[str, Any]] = {
    "ada": {"name": "Ada Lovelace", "email": "ada@example.com"},
    "eve": {"name": None, "email": "eve@example.com", "groups": ["editor", "admin"]},
}

_REPLACE = """(token) => {
    const tokens = JSON.parse(sessionStorage["session.tokens"]);
    sessionStorage["session.tokens"] = JSON.stringify({ ...tokens, access_token: token });
}"""


def with_users(data: Path, provider: PageProvider, sources: Path) -> StackOptions:
    """A workbench whose gateway and pages trust the provider. It runs already."""
    component = Path(shutil.copytree(MANIFESTS / "components" / "identity", data.parent / f"{data.name}-identity"))
    provider.trusted_in(component)
    settings = {
        "SERVICE_SERVER": SERVER,
        "SERVICE_IDENTITY": "gateway",
        "SERVICE_IDENTITY_ISSUER": provider.issuer,
        **PATIENT,
    }
    return StackOptions(
        data=data,
        sources=sources,
        settings=settings,
        components=[component],
        identity_port=provider.port,
    )


def conduct_of_users(page_url: str, provider: PageProvider) -> Conduct:
    """The provider is another host, and browsers report the 401 of an expired token."""
    conduct = Conduct(urlsplit(page_url).netloc)
    conduct.allowed += [re.escape(f"request to another host: {provider.issuer}/"), "status of 401"]
    return conduct


async def sign_in(page: Page, user: str, shown: str) -> None:
    """Goes to the provider and back."""
    await button(page, "Sign in").click()
    await page.get_by_role("link", name=user).click()
    await expect(page.locator("#user-name")).to_have_text(shown)


async def expire(page: Page, provider: PageProvider, user: str) -> None:
    """Replaces the access token by one that has expired."""
    now = claims()["iat"]
    await page.evaluate(_REPLACE, provider.token(user, iat=now - 2 * HOUR, exp=now - HOUR))
