"""Requests of users: the token that the ingress wants from everyone, if it has users at all."""

import json
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Generator
from urllib.parse import urlsplit

import httpx

from cluster.access_token import of_cluster
from harness.tls import trusted
from workbench.access_token import of_workbench
from workbench.errors import WorkbenchError
from workbench.identity.data import Files
from workbench.machine.folders import data_folder
from workbench.stack import Stack

TOKEN = "INGRESS_TOKEN"  # noqa: S105 - not a token
"""The variable with a token for an ingress whose identity provider is not one of this project."""

_RENEWED_AFTER = 300.0  # s; a token is valid for an hour
_ANY = "/anything"  # the gateway refuses it before it could be looked for
_DISCOVERY = "/auth/.well-known/openid-configuration"


class SignIn(httpx.Auth):
    """Whose requests they are. It gets a token when the first request is sent, and another one before that expires.

    A request that has the header `authorization` keeps its own.
    """

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token
        self._last = ""
        self._renew_at = 0.0

    def headers(self) -> dict[str, str]:
        """What is added to a request: the header `authorization`."""
        if time.monotonic() >= self._renew_at:
            self._last, self._renew_at = self._token(), time.monotonic() + _RENEWED_AFTER
        return {"authorization": f"Bearer {self._last}"}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        if "authorization" not in request.headers:
            request.headers.update(self.headers())
        yield request


class Nobody(SignIn):
    """Adds nothing to requests."""

    def __init__(self) -> None:
        super().__init__(str)

    def headers(self) -> dict[str, str]:
        return {}


NOBODY = Nobody()


class AsGateway(SignIn):
    """Tells the service itself of a user with a role, as the gateway would."""

    def __init__(self, user: str, role: str) -> None:
        super().__init__(str)
        roles = urlsafe_b64encode(json.dumps([role]).encode()).decode()
        self._headers = {"x-user": user, "x-user-roles": roles}

    def headers(self) -> dict[str, str]:
        return self._headers


def to_stack(stack: Stack, role: str | None = None) -> SignIn:
    """The first user, or the first with a role, of a workbench that this process runs. NOBODY if it has no users."""
    options = stack.options
    if options.provider is None:
        return NOBODY
    component = options.provider
    return SignIn(lambda: of_workbench(options.data, None, role, component))


def to_ingress(url: str, role: str | None = None) -> SignIn:
    """The first user, or the first with a role, of the `make dev` that runs on DATA, or else of a cluster.

    NOBODY if the ingress has no users. Raises WorkbenchError if it has, and nobody can be signed in.
    """
    if token := os.environ.get(TOKEN):
        return SignIn(lambda: token)
    if _status(f"{url}{_ANY}") != 401:
        return NOBODY
    if _status(f"{url}{_DISCOVERY}") != 200:
        raise WorkbenchError(f"{url} has users of another identity provider: set {TOKEN} to a token of one")
    data = data_folder(os.environ)
    own = Files.of(data).url  # there as long as its provider runs
    if own.exists() and _port(own.read_text()) == _port(url):
        return SignIn(lambda: of_workbench(data, None, role))
    return SignIn(lambda: of_cluster(None, role, url))


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=30, verify=trusted(url)).status_code
    except httpx.HTTPError as error:
        raise WorkbenchError(f"{url} does not answer ({error or type(error).__name__}): is it running?") from error


def _port(url: str) -> int | None:
    return urlsplit(url).port
