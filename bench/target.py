"""What a load reads and creates: `GET /`, and a collection that COLLECTION names or the service describes.

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
from harness.steady_load import Load
from harness.tls import NO_TLS

READ = "/"
"""The path of every GET. It needs no statement, so this half of a load shows the service alone."""

_NO_COLLECTION = Resource("", lambda _: {}, READ)
_ADVICE = "name a collection, and a field of its members that may be any text: COLLECTION=/path:field"


class CannotCreate(Exception):
    """No collection can be used. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    collection: Resource | None
    """None if nothing can be created."""
    why: str = ""
    """Why nothing can be created, and what to do."""

    def load(self, port: int, rate: float, *, keys: bool = True) -> Load:
        """A load that alternates between GET and POST, or only sends GET if nothing can be created."""
        return Load(port, rate, self.collection or _NO_COLLECTION, posts=self.collection is not None, keys=keys)

    async def lost(self, url: str, load: Load) -> list[str]:
        """The paths of the members whose creation was acknowledged to a load, and which are not there."""
        path = self.collection.path if self.collection else ""
        return await missing(url, [f"{path}/{member}" for member in load.created])

    def __str__(self) -> str:
        return f"GET {READ} and POST {self.collection.path} in turn" if self.collection else f"only GET {READ}"


async def find_target(url: str) -> Target:
    """The target of loads on the service at `url`. Creates two members of a collection to try it, unless told more.

    Raises CannotCreate if COLLECTION names a collection that cannot be used.
    """
    path, _, field = os.environ.get("COLLECTION", "").partition(":")
    if field:
        return Target(Resource(path, lambda number: {field: f"Load {number}"}, READ))
    refusals = []
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30, verify=NO_TLS) as client:
            for found in collections(await description(url)):
                if path in ("", found.path):
                    collection = Resource(found.path, partial(_body, found), READ)
                    refusal = await _refusal(client, collection)
                    if not refusal:
                        return Target(collection)
                    refusals.append(refusal)
    except httpx.HTTPError as error:
        refusals.append(f"{url}: {error or type(error).__name__}")
    why = f"{'; '.join(refusals) or f'{url}/openapi.json describes no collection {path}'.rstrip()}: {_ADVICE}"
    if path:
        raise CannotCreate(why)
    return Target(None, why)


def _body(described: Described, number: int) -> dict[str, Any]:
    body: dict[str, Any] = sample(described.schema, number)
    return body


async def _refusal(client: httpx.AsyncClient, collection: Resource) -> str:
    """Why members of a collection cannot be created and read; empty if they can, or if an outage prevents it."""
    for number in range(2):  # the second member may be in conflict with the first one
        created = await client.post(collection.path, json=collection.body(number))
        if created.status_code >= 500:
            return ""
        if created.status_code != 201:
            return f"POST {collection.path} answers {created.status_code} {created.text}"
        location = created.headers.get("location", "")
        if not location.startswith(f"{collection.path}/") or (await client.get(location)).status_code != 200:
            return f"POST {collection.path} answers 201 with the Location {location!r}, which GET does not find"
    return ""
