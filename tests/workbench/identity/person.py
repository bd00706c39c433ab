"""A person with a browser, and the page that they sign in to."""

import hashlib
import html
import re
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet

from harness.tls import NO_TLS
from tests.workbench.things import ANY
from workbench.project import NAME

SCOPE = "openid email profile groups offline_access"
STATE, NONCE = "the state", "the nonce"


class Person:
    def __init__(self, url: str, passwords: Path, api: str = ANY) -> None:
        self.url = url
        self.passwords = passwords
        self.api = api
        """A path that users may read."""
        self.browser = httpx.AsyncClient(base_url=url, verify=NO_TLS)
        self.verifier = secrets.token_urlsafe(48)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.browser.aclose()

    @property
    def challenge(self) -> str:
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")

    def password(self, user: str) -> str:
        return (self.passwords / f"user-{user}-password").read_text().strip()

    def request(self, **changes: str | None) -> dict[str, str]:
        """The fields of a valid request of the page. A change to None leaves one out."""
        fields = {
            "client_id": NAME,
            "redirect_uri": f"{self.url}/",
            "response_type": "code",
            "scope": SCOPE,
            "state": STATE,
            "nonce": NONCE,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**fields, **changes}.items() if value is not None}

    async def ask(self, **changes: str | None) -> httpx.Response:
        """Begins a sign-in."""
        return await self.browser.get("/auth/auth", params=self.request(**changes))

    async def submit(self, page: httpx.Response, name: str, password: str, **changes: str) -> httpx.Response:
        """Sends the form of the page."""
        [csrf] = re.findall(r'name="csrf" value="([^"]+)"', page.text)
        form = {"csrf": html.unescape(csrf), "name": name, "password": password, **changes}
        return await self.browser.post(page.url, data=form)

    async def code(self, user: str = "ada", **changes: str | None) -> str:
        """Signs in, and returns to the page."""
        answer = await self.submit(await self.ask(**changes), user, self.password(user))
        assert answer.status_code == 303, answer.text
        return answer_of(answer)["code"]

    async def exchange(self, **fields: str | None) -> httpx.Response:
        given = {"client_id": NAME, **fields}
        data = {name: value for name, value in given.items() if value is not None}
        return await self.browser.post("/auth/token", data=data)

    async def exchange_code(self, code: str, /, **changes: str | None) -> httpx.Response:
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{self.url}/",
            "code_verifier": self.verifier,
        }
        return await self.exchange(**{**fields, **changes})

    async def sign_in(self, user: str = "ada", **changes: str | None) -> dict[str, Any]:
        """The tokens of a user."""
        answer = await self.exchange_code(await self.code(user, **changes))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def refresh(self, token: str, /, **changes: str | None) -> httpx.Response:
        return await self.exchange(**{"grant_type": "refresh_token", "refresh_token": token, **changes})

    async def claims(self, token: str) -> dict[str, Any]:
        """Of a token that one of the published keys has signed."""
        keys = KeySet.import_key_set((await self.browser.get("/auth/keys")).json())
        return dict(jwt.decode(token, keys, ["RS256"]).claims)

    async def may_use(self, token: str) -> int:
        """The status of a request to the API with this token."""
        async with httpx.AsyncClient(base_url=self.url, verify=NO_TLS) as script:
            return (await script.get(self.api, headers={"authorization": f"Bearer {token}"})).status_code


def answer_of(response: httpx.Response) -> dict[str, str]:
    """What the page gets in its address."""
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


def error_of(response: httpx.Response) -> tuple[int, str]:
    """The status and the code of an error in JSON."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["error_description"]
    return response.status_code, response.json()["error"]
