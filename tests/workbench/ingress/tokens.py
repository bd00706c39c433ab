"""Tokens of an identity provider that the tests have in its place, and tokens that nobody should accept."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from joserfc import jwk, jwt

from workbench.project import NAME

ISSUER = "http://localhost:8080/auth"  # as in k8s/components/identity
AUDIENCE = NAME

HOUR = 3600

# Of the provider: two keys at a time, as while one is replaced by the other.
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
NEXT = jwk.ECKey.generate_key("P-256", {"kid": "next"})
"""A key that the provider will have later."""
STOLEN_NAME = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
"""A key of somebody else, with the name of one of the provider's."""

Key = jwk.RSAKey | jwk.ECKey


def key_set(*keys: Key) -> str:
    """The public parts of keys, as a provider publishes them."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a valid token of the user ada. A change to None removes the claim."""
    now = int(time.time())
    valid = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "email": "ada@example.com",
        "groups": ["admin", "editor"],
        "iat": now,
        "exp": now + HOUR,
    }
    return {name: value for name, value in {**valid, **changes}.items() if value is not None}


def token(key: Key = EC, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """A token that differs from a valid one in some claims, or in the fields of its header."""
    algorithm = "RS256" if isinstance(key, jwk.RSAKey) else "ES256"
    return jwt.encode({"alg": algorithm, "kid": key.kid, **(header or {})}, claims(**changes), key)


def unsigned(algorithm: str) -> str:
    """A token that says that it needs no signature, and has none."""
    return f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(claims())}."


def signed_with_public_key() -> str:
    """The public key taken for the secret of a symmetric algorithm: valid for a verifier that believes `alg`."""
    signed = f"{_part({'alg': 'HS256', 'kid': 'rsa'})}.{_part(claims())}"
    signature = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")  # joserfc refuses to do this
    return f"{signed}.{_base64(signature)}"


def changed(valid: str, **changes: Any) -> str:
    """Other claims with the signature of a valid token."""
    header, _, signature = valid.split(".")
    return f"{header}.{_part(claims(**changes))}.{signature}"


def header_of(*roles: str) -> str:
    """What the service gets of a list of roles."""
    return base64.urlsafe_b64encode(json.dumps(roles, separators=(",", ":")).encode()).decode()


def _part(content: Mapping[str, Any]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
