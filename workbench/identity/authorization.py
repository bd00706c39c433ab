"""The authorization endpoint: which requests may ask a person to sign in, and how their clients get the answer.

The address of the sign-in page is the request. So the provider keeps nothing until somebody has signed in, and what
is sent with the form is checked like the request before it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from workbench.identity.forms import OAuthError, fields, public, scopes
from workbench.identity.registered import Client, Registered

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url
_UNSUPPORTED = {"request": "request_not_supported", "request_uri": "request_uri_not_supported"}


@dataclass(frozen=True)
class Back:
    """Where a client waits for its answer."""

    redirect_uri: str
    state: str | None

    def url(self, answer: Mapping[str, str]) -> str:
        query = urlencode({**answer, **({"state": self.state} if self.state is not None else {})})
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}"


@dataclass(frozen=True)
class AuthorizationRequest:
    client: Client
    back: Back
    scope: str
    challenge: str
    nonce: str | None


class RefusedTo(Exception):
    """A request whose client can be told what is wrong."""

    def __init__(self, back: Back, error: OAuthError) -> None:
        super().__init__(str(error))
        self.url = back.url(error.fields())


def read(registered: Registered, query: Iterable[tuple[str, str]]) -> AuthorizationRequest:
    """Raises RefusedTo; or OAuthError as long as nobody knows that the address to send people to is the client's."""
    given = fields(query)
    client = public(registered.client(given.get("client_id", "")))
    redirect_uri = given.get("redirect_uri")
    if redirect_uri not in client.redirect_uris:
        raise OAuthError("invalid_request", "redirect_uri is none of those that the client has registered")
    back = Back(redirect_uri, given.get("state"))
    try:
        return _checked(client, back, given)
    except OAuthError as error:
        raise RefusedTo(back, error) from error


def _checked(client: Client, back: Back, given: Mapping[str, str]) -> AuthorizationRequest:
    for name, code in _UNSUPPORTED.items():
        if name in given:
            raise OAuthError(code, f"{name} is not supported")
    if (kind := given.get("response_type")) != "code":
        code = "unsupported_response_type" if kind else "invalid_request"
        raise OAuthError(code, "response_type has to be code")
    if given.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "response_mode has to be query")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise OAuthError("invalid_request", "a code_challenge is needed, with the code_challenge_method S256")
    found = scopes(given.get("scope", ""))
    if "none" in given.get("prompt", "").split():
        raise OAuthError("login_required", "this provider has no sessions: each sign-in asks for the password")
    return AuthorizationRequest(client, back, " ".join(sorted(found)), given["code_challenge"], given.get("nonce"))
