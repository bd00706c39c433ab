"""The token endpoint: a code or a refresh token in exchange for tokens."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from joserfc.jwk import RSAKey

from workbench.identity import keys
from workbench.identity.forms import OAuthError, public, scopes
from workbench.identity.grants import Grant, Grants
from workbench.identity.registered import Client, Registered

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, section 4.1
_UNUSABLE = "it is unknown, expired, used or of another client: sign in again"


class TokenEndpoint:
    def __init__(self, registered: Registered, key: RSAKey, grants: Grants) -> None:
        self._registered = registered
        self._key = key
        self._grants = grants

    def answer(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a request with these fields. Raises OAuthError."""
        if "client_secret" in given:
            raise OAuthError("invalid_client", "a public client has no secret", 401)
        client = public(self._registered.client(given.get("client_id", "")))
        kind = given.get("grant_type")
        if kind == "authorization_code":
            return self._tokens(self._of_code(given, client))
        if kind == "refresh_token":
            return self._of_refresh_token(given, client)
        if kind is None:
            raise OAuthError("invalid_request", "grant_type is missing")
        raise OAuthError("unsupported_grant_type", "use authorization_code or refresh_token")

    def _of_code(self, given: Mapping[str, str], client: Client) -> Grant:
        for name in ("code", "redirect_uri", "code_verifier"):
            if name not in given:
                raise OAuthError("invalid_request", f"{name} is missing")
        verifier = given["code_verifier"]
        if not _VERIFIER.fullmatch(verifier):
            raise OAuthError("invalid_request", "code_verifier has to be 43 to 128 of A-Z a-z 0-9 . _ ~ -")
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = urlsafe_b64encode(digest).decode().rstrip("=")
        grant = self._grants.use_code(given["code"], client.id, given["redirect_uri"], challenge)
        if grant is None:
            raise OAuthError("invalid_grant", f"the code cannot be used: {_UNUSABLE}")
        return grant

    def _of_refresh_token(self, given: Mapping[str, str], client: Client) -> dict[str, Any]:
        if "refresh_token" not in given:
            raise OAuthError("invalid_request", "refresh_token is missing")
        grant = self._grants.find(given["refresh_token"], client.id)
        if grant is None:
            raise OAuthError("invalid_grant", f"the refresh token cannot be used: {_UNUSABLE}")
        asked = scopes(given["scope"]) if "scope" in given else grant.scopes
        if not asked <= grant.scopes:
            raise OAuthError("invalid_scope", "more was asked for than the user has granted")
        return self._tokens(grant, asked)

    def _tokens(self, grant: Grant, asked: frozenset[str] | None = None) -> dict[str, Any]:
        user = self._registered.user(grant.user)
        if user is None:
            self._grants.revoke(grant.id)
            raise OAuthError("invalid_grant", "the user does not exist any more: sign in as another one")
        issuer, lifetime = self._registered.issuer, self._registered.expiry.tokens
        allowed = grant.scopes if asked is None else asked
        claims = keys.claims(issuer, user, grant.client, lifetime, allowed)
        of_sign_in = {
            "auth_time": grant.signed_in,
            "sid": grant.id,
            **({"nonce": grant.nonce} if grant.nonce else {}),
        }
        answer = {
            "access_token": keys.sign(self._key, claims),
            "token_type": "Bearer",
            "expires_in": claims["exp"] - claims["iat"],
            "id_token": keys.sign(self._key, {**claims, **of_sign_in}),
            "scope": " ".join(sorted(allowed)),
        }
        if "offline_access" in grant.scopes:
            answer["refresh_token"] = self._grants.new_refresh_token(grant)
        return answer
