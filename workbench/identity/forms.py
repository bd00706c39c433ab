"""The fields of a request, and what is wrong with one, as RFC 6749 says it."""

from collections.abc import Iterable, Mapping

from workbench.identity.registered import Client

SCOPES = ("openid", "email", "profile", "groups", "offline_access")


class OAuthError(Exception):
    """An error with one of the codes of RFC 6749, sections 4.1.2.1 and 5.2, or of OpenID Connect."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.status = status

    def fields(self) -> dict[str, str]:
        return {"error": self.code, "error_description": self.description}


def fields(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Those that have a value. Raises OAuthError if a field comes twice (RFC 6749, section 3.1)."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise OAuthError("invalid_request", f"{_printable(name)} comes twice")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def scopes(text: str) -> frozenset[str]:
    """Raises OAuthError if one is not known, or if `openid` is missing."""
    found = frozenset(text.split())
    if unknown := found - {*SCOPES}:
        raise OAuthError("invalid_scope", f"the scope {_printable(min(unknown))} is not known")
    if "openid" not in found:
        raise OAuthError("invalid_scope", "the scope openid is missing")
    return found


def public(client: Client | None) -> Client:
    """Raises OAuthError if there is no such client, or if it needs a secret, which this provider does not check."""
    if client is None or not client.public:
        raise OAuthError("invalid_client", "there is no such public client", 401)
    return client


def _printable(text: str) -> str:
    """With the characters that RFC 6749 allows in a description."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text[:100])
