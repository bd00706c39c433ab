"""The key of the provider, and the tokens that it signs."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from workbench.identity.registered import User
from workbench.machine.passwords import write

ALGORITHM = "RS256"
_BITS = 2048


def open_key(file: Path) -> RSAKey:
    """The key in the file, which is made if it is missing. Raises as read_key() does."""
    if not file.exists():
        write(file, json.dumps(RSAKey.generate_key(_BITS, auto_kid=True).as_dict(private=True)))
    return read_key(file)


def read_key(file: Path) -> RSAKey:
    """The key in the file. Raises ValueError if there is none in it, or OSError."""
    try:
        key = RSAKey.import_key(json.loads(file.read_text()))
    except (JoseError, ValueError, TypeError) as error:
        raise ValueError(f"is not a JSON Web Key ({error})") from error
    if not key.is_private or not key.kid:
        raise ValueError("is not a private key with a kid")
    return key


def public_keys(key: RSAKey) -> Mapping[str, Any]:
    """The JSON Web Key Set that verifies the tokens."""
    return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}]}


def sign(key: RSAKey, claims: Mapping[str, Any]) -> str:
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}, dict(claims), key)


def claims_of(token: str, key: RSAKey) -> Mapping[str, Any]:
    """The claims of a token that this key has signed, even if it has expired. Empty for any other text."""
    try:
        found = json.loads(jws.deserialize_compact(token, key, [ALGORITHM]).payload)
    except (JoseError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def claims(issuer: str, user: User, client: str, lifetime: timedelta, scopes: frozenset[str]) -> dict[str, Any]:
    """Of an access token, as Dex has them: a scope decides whether a claim is there."""
    now = int(time.time())
    found: dict[str, Any] = {
        "iss": issuer,
        "sub": user.id,
        "aud": [client],
        "iat": now,
        "exp": now + int(lifetime.total_seconds()),
    }
    if "email" in scopes:
        found |= {"email": user.email, "email_verified": True}
    if "profile" in scopes:
        found |= {"name": user.name, "preferred_username": user.id}
    if "groups" in scopes and user.roles:
        found["groups"] = user.roles
    return found
