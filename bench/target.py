"""What a load reads and creates: `GET /`, and members of a collection that COLLECTION names or the API describes.

COLLECTION=/things        POST /things; the bodies fit the description of the API
COLLECTION=/things:name   POST /things; the bodies are {"name": "Load 17"}; nothing is asked or tried before
without it                the first collection whose members can be created and read
"""

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from harness.clients import missing
from harness.openapi import Described, collections, description
from harness.resource import Resource
from harness.samples import sample
from harness.sign_in import NOBODY, SignIn
from harness.steady_load import Load
from harness.tls import NO_TLS

READ = "/"
"""What a load reads if the service has it: no statement is needed for it, so it shows the service alone."""

_ADVICE = "name a collection, and a field of its members that may be any text: COLLECTION=/path:field"


class CannotCreate(Exception):
    """No collection can be used. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    resource: Resource
    why_only_reads: str = ""
    """Why nothing can be created, and what to do; empty if members of the resource can be."""

    def load(self, port: int, rate: float, *, keys: bool = True) -> Load:
        """A load that alternates between GET and POST, or only sends GET if nothing can be created."""
        return Load(port, rate, self.resource, posts=not self.why_only_reads, keys=keys)

    async def lost(self, url: str, load: Load) -> list[str]:
        """The paths of the members whose creation was acknowledged to a load, and which are not there."""
        return await missing(url, [f"{self.resource.path}/{member}" for member in load.created], self.resource.user)

    def __str__(self) -> str:
        if self.why_only_reads:
            return f"only GET {self.resource.read}"
        return f"GET {self.resource.read} and POST {self.resource.path} in turn"


async def find_target(url: str, user: SignIn = NOBODY) -> Target:
    """The target of a user's loads on the service at `url`. Creates two members to try it, unless told more.

    Raises CannotCreate if COLLECTION names a collection that cannot be used, or if the service does not answer.
    """
    path, _, field = os.environ.get("COLLECTION", "").partition(":")
    if field:
        return Target(Resource(path, lambda number: {field: f"Load {number}"}, READ, user))
    refusals = []
    try:
        document = await description(url)
        has_root = READ in document["paths"]
        async with httpx.AsyncClient(base_url=url, auth=user, timeout=30, verify=NO_TLS) as client:
            for found in collections(document):
                if path in ("", found.path):
                    resource = Resource(found.path, partial(_body, found), READ if has_root else found.path, user)
                    refusal = await _refusal(client, resource)
                    if not refusal:
                        return Target(resource)
                    refusals.append(refusal)
    except httpx.HTTPError as error:
        raise CannotCreate(f"{url}/openapi.json: {error or type(error).__name__}: {_ADVICE}") from error
    why = f"{'; '.join(refusals) or f'{url}/openapi.json describes no collection {path}'.rstrip()}: {_ADVICE}"
    if path:
        raise CannotCreate(why)
    return Target(Resource("", lambda _: {}, READ if has_root else "/openapi.json", user), why)


def _body(described: Described, number: int) -> dict[str, Any]:
    body: dict[str, Any] = sample(described.schema, number)
    return body


async def _refusal(client: httpx.AsyncClient, resource: Resource) -> str:
    """Why members of a collection cannot be created and read; empty if they can, or if an outage prevents it."""
    for number in range(2):  # the second member may be in conflict with the first one
        created = await client.post(resource.path, json=resource.body(number))
        if created.status_code >= 500:
            return ""
        if created.status_code != 201:
            return f"POST {resource.path} answers {created.status_code} {created.text}"
        location = created.headers.get("location", "")
        if not location.startswith(f"{resource.path}/") or (await client.get(location)).status_code != 200:
            return f"POST {resource.path} answers 201 with the Location {location!r}, which GET does not find"
    return ""
