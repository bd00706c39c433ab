"""What the service sends for users to sign in: data, files and policies; and nothing of it if there are none."""

import base64
import hashlib
import re
from collections.abc import Sequence

import pytest

from service import pages
from service.domain import Domain
from service.pages.parts import SignIn, assemble
from service.settings import SettingsError, load
from tests.service.fixtures import StartService
from tests.service.serving import PROBE

HTML = {"accept": "text/html"}
REDIRECT = "/static/oauth2-redirect.html"
FOR_USERS = ["/static/session.js", "/static/provider.js", "/static/users.css", REDIRECT]


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return (*PROBE, pages.DOMAIN)


async def test_without_users_nothing_is_about_them(start_service: StartService) -> None:
    service = await start_service(identity_issuer="https://id.example/auth")

    for path in ("/", "/docs"):
        answer = await service.api.get(path, headers=HTML)
        assert answer.status_code == 200
        assert not re.search("identity|session|sign|gate|user|id.example", answer.text)
        assert "connect-src 'self';" in answer.headers["content-security-policy"]
    assert {(await service.api.get(path)).status_code for path in FOR_USERS} == {404}


@pytest.mark.parametrize(
    ("issuer", "connect"),
    [
        ("/auth", "'self'"),
        ("http://localhost:8080/auth", "'self' http://localhost:8080"),
        ("https://id.example", "'self' https://id.example"),
    ],
)
async def test_the_pages_know_the_provider_and_may_ask_it(
    start_service: StartService, issuer: str, connect: str
) -> None:
    service = await start_service(identity="gateway", identity_issuer=issuer, identity_client="quay")

    for path in ("/", "/docs"):
        answer = await service.api.get(path, headers=HTML)
        assert f'<meta name="identity" content="{issuer}" data-client="quay">' in answer.text
        policy = answer.headers["content-security-policy"]
        assert f"connect-src {connect};" in policy
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert ("require-trusted-types-for 'script'" in policy) == (path == "/")
    assert {(await service.api.get(path)).status_code for path in FOR_USERS} == {200}


async def test_swagger_uis_redirect_page_runs_its_own_scripts_only(start_service: StartService) -> None:
    service = await start_service(identity="gateway")

    answer = await service.api.get(REDIRECT, params={"code": "abc"})

    [script] = re.findall("<script>(.*?)</script>", answer.text, re.DOTALL)
    allowed = re.findall(r"'sha256-(.*?)'", answer.headers["content-security-policy"])
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in allowed
    assert len(allowed) == 2  # the script, and the handler that calls it
    assert "'self'" not in answer.headers["content-security-policy"]


def test_data_for_browsers_never_becomes_markup() -> None:
    assert b'data-client="&quot;&gt;&lt;script&gt;"' in assemble({}, [], {}, SignIn("/auth", '"><script>'))


@pytest.mark.parametrize(
    "issuer", ["", "auth", "javascript:alert(1)", "https://id.example;", "https://a b", "//id/'x'"]
)
def test_an_issuer_that_is_no_address_is_refused(issuer: str) -> None:
    with pytest.raises(SettingsError, match="SERVICE_IDENTITY_ISSUER"):
        load({"SERVICE_IDENTITY_ISSUER": issuer})
