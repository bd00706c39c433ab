"""What users have granted: codes that can be exchanged once, and refresh tokens, each of which can be used once.

Codes are in memory. Refresh tokens survive a restart; the file has their hashes, so whoever reads it cannot use them.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.machine.passwords import write

MOST = 1000
"""Sign-ins whose refresh tokens are kept; older ones are forgotten."""

CODE_LIFETIME = 60.0  # s; RFC 6749, section 4.1.2: at most ten minutes


@dataclass(frozen=True)
class Grant:
    """Whom a client may act for. `id` ties together all tokens that come from one sign-in."""

    id: str
    client: str
    user: str
    scope: str
    nonce: str | None
    signed_in: int
    """When, in seconds since 1970."""

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(self.scope.split())


@dataclass
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str
    expires: float
    used: bool = False


class Grants:
    """`now` is a clock that never goes back, in seconds."""

    def __init__(self, file: Path, now: Callable[[], float] = time.monotonic) -> None:
        """Raises ValueError if the file is damaged, or OSError."""
        self._file = file
        self._now = now
        self._codes: dict[str, _Code] = {}
        self._refresh: dict[str, tuple[Grant, str]] = {}
        """By the id of the grant: with the hash of the refresh token that is valid now."""
        if file.exists():
            try:
                stored = json.loads(file.read_text())
                self._refresh = {one["grant"]["id"]: (Grant(**one["grant"]), str(one["hash"])) for one in stored}
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(f"is damaged ({error!r})") from error

    def new_code(
        self, client: str, user: str, scope: str, nonce: str | None, redirect_uri: str, challenge: str
    ) -> str:
        """A code for this client, and for the one who knows the verifier of the challenge."""
        self._codes = {code: kept for code, kept in self._codes.items() if kept.expires > self._now()}
        grant = Grant(secrets.token_urlsafe(16), client, user, scope, nonce, int(time.time()))
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(grant, redirect_uri, challenge, self._now() + CODE_LIFETIME)
        return code

    def use_code(self, code: str, client: str, redirect_uri: str, challenge: str) -> Grant | None:
        """What a code grants; None if it is unknown, expired, used or of somebody else.

        Any attempt uses it up. A second one revokes what came from the first: one of the two was a thief's.
        """
        kept = self._codes.get(code)
        if kept is None or kept.expires <= self._now():
            return None
        if kept.used:
            self.revoke(kept.grant.id)
            return None
        kept.used = True
        same = (
            secrets.compare_digest(kept.challenge.encode(), challenge.encode())
            and kept.grant.client == client
            and kept.redirect_uri == redirect_uri
        )
        return kept.grant if same else None

    def new_refresh_token(self, grant: Grant) -> str:
        """Takes the place of the one that the grant had before."""
        secret = secrets.token_urlsafe(32)
        self._refresh[grant.id] = grant, _hash(secret)
        while len(self._refresh) > MOST:
            del self._refresh[next(iter(self._refresh))]
        self._save()
        return f"{grant.id}.{secret}"

    def find(self, refresh_token: str, client: str) -> Grant | None:
        """What a refresh token grants; None if it is unknown, or of another client.

        One that was replaced revokes its grant: one of the two who have used it was a thief.
        """
        grant_id, _, secret = refresh_token.partition(".")
        grant, expected = self._refresh.get(grant_id, (None, ""))
        if grant is None or grant.client != client:
            return None
        if not secrets.compare_digest(_hash(secret), expected):
            self.revoke(grant_id)
            return None
        return grant

    def revoke(self, grant_id: str) -> None:
        """Ends a sign-in: its refresh token is no longer valid. Access tokens last until they expire."""
        if self._refresh.pop(grant_id, None):
            self._save()

    def _save(self) -> None:
        stored = [{"grant": asdict(grant), "hash": hashed} for grant, hashed in self._refresh.values()]
        write(self._file, json.dumps(stored))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()  # of 256 random bits: it needs no salt
