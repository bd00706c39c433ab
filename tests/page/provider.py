"""An identity provider at an origin of its own, as small as the pages need: PKCE, refresh tokens, revocation."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwk

from tests.workbench.ingress import tokens
from tests.workbench.ingress.stub_replicas import Received, StubReplica

_CORS = "access-control-allow-origin: *\r\naccess-control-allow-headers: x-requested-with\r\n"
_JSON = f"content-type: application/json\r\n{_CORS}"
_HTML = "content-type: text/html\r\n"
_PAGE = """<!doctype html><html lang="en"><head><title>Provider</title><link rel="icon" href="data:,"></head>
<body>{links}</body></html>"""


@dataclass
class PageProvider:
    """`users` are the claims of each user. A test sets the other fields, and gives back what it has changed."""

    users: dict[str, dict[str, Any]]
    away: str = "nothing"
    """The beginning of the paths that it answers with 503."""
    ended: bool = False
    """Whether refresh tokens are refused."""
    calls: list[str] = field(default_factory=list)
    """The answered calls of programs: the grant and the status, such as `refresh_token 200`."""
    secrets: set[str] = field(default_factory=set)
    """All codes and tokens that it has handed out."""

    def __post_init__(self) -> None:
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "pages"})
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: dict[str, str] = {}
        self._server = StubReplica(self._answer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        async with self._server.running():
            yield self

    @property
    def port(self) -> int:
        return self._server.upstream.api_port

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.origin}/auth"

    def token(self, user: str, **changes: Any) -> str:
        """An access token."""
        return tokens.token(self.key, iss=self.issuer, sub=user, **{"groups": None, **self.users[user], **changes})

    def trusted_in(self, component: Path) -> None:
        """Makes a copy of k8s/components/identity believe this provider."""
        for file in component.glob("*.yaml"):
            file.write_text(file.read_text().replace(tokens.ISSUER, self.issuer))

    async def _answer(self, request: Received) -> None:
        url = urlsplit(request.target)
        query, form = dict(parse_qsl(url.query)), dict(parse_qsl(request.body.decode()))
        if request.method == "OPTIONS":
            await request.respond(204, headers=_CORS)
        elif url.path.startswith(self.away):
            await request.respond(503, headers=_CORS)
        elif url.path == "/auth/.well-known/openid-configuration":
            await request.respond(200, json.dumps(self._document()).encode(), _JSON)
        elif url.path == "/auth/keys":
            await request.respond(200, tokens.key_set(self.key).encode(), _JSON)
        elif url.path == "/auth/auth":
            await request.respond(200, _PAGE.format(links=self._links(query)).encode(), _HTML)
        elif url.path == "/auth/token":
            status, answer = self._grant(form)
            self.calls.append(f"{form['grant_type']} {status}")
            await request.respond(status, json.dumps(answer).encode(), _JSON)
        elif url.path == "/auth/revoke":
            self.calls.append(f"revoke {200 if self._refresh.pop(form['token'], None) else 404}")
            await request.respond(200, headers=_CORS)
        else:
            await request.respond(404)

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def _links(self, query: dict[str, str]) -> str:
        """One for each user, and one that denies."""
        assert query["client_id"] == tokens.AUDIENCE
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        answers = {"deny": {"error": "access_denied", "error_description": "<b>no</b>"}}
        for user in self.users:
            answers[user] = {"code": self._secret()}
            self._codes[answers[user]["code"]] = {**query, "user": user}
        back = {
            name: f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}"
            for name, answer in answers.items()
        }
        return " ".join(f'<a href="{escape(address)}">{name}</a>' for name, address in back.items())

    def _grant(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form["client_id"] != tokens.AUDIENCE:
            return 401, {"error": "invalid_client"}
        if form["grant_type"] == "refresh_token":
            user = None if self.ended else self._refresh.pop(form["refresh_token"], None)
        else:
            asked = self._codes.pop(form["code"], {})
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            same = asked.get("code_challenge") == challenge and asked.get("redirect_uri") == form["redirect_uri"]
            user = asked["user"] if same else None
        if user is None:
            return 400, {"error": "invalid_grant"}
        access, refresh = self.token(user), self._secret()
        self.secrets.add(access)
        self._refresh[refresh] = user
        return 200, {"access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": 3600}

    def _secret(self) -> str:
        secret = token_urlsafe(24)
        self.secrets.add(secret)
        return secret
