"""What belongs to a user is not there for another one, whatever route and header they try.

Each operation that /openapi.json describes is tried, with members that are made from nothing but the description: a
new route needs no line here. Other clients may use the service at the same time.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest

from harness.sign_in import SignIn
from service.app import DOMAINS
from tests.ingress.clients import client_of
from tests.ingress.contract import Contract
from tests.ingress.members import Members
from tests.service.routes import declared
from tests.waiting import WITHIN

OWNED = sorted({(route.method.lower(), route.described_path) for route in declared(DOMAINS) if route.owned})
"""The operations on what belongs to users: method and template."""

NDJSON, EVENTS = "application/x-ndjson", "text/event-stream"


@pytest.fixture
async def owner(ingress_url: str, contract: Contract, admin: SignIn) -> AsyncIterator[Members]:
    """Members of a user who is an admin, too: they see everything, and nobody else sees what is theirs."""
    if not contract.has_users:
        pytest.skip("the ingress has no users: everything belongs to everyone")
    async with client_of(ingress_url, admin) as client:
        members = Members(contract, client)
        try:
            await members.make()
            yield members
        finally:
            await members.delete()


@pytest.fixture
async def stranger(ingress_url: str, contract: Contract, first_user: SignIn) -> AsyncIterator[Members]:
    """Members of a user without a role."""
    async with client_of(ingress_url, first_user) as client:
        members = Members(contract, client)
        try:
            yield members
        finally:
            await members.delete()


def conditions(etag: str) -> Iterator[dict[str, str]]:
    """Headers by which an answer could tell that there is something, and in which version."""
    yield {}
    for name in ("if-match", "if-none-match"):
        yield from ({name: etag}, {name: "*"})


def told(response: httpx.Response) -> tuple[int, str, list[str], set[str]]:
    """All of an answer, but for what is another text each time."""
    text = response.text.replace(response.headers["x-request-id"], "REQUEST")
    for part in response.request.url.path.split("/")[1:]:
        text = text.replace(part, "PART") if len(part) == 36 else text
    methods = set(response.headers.get("allow", "").split(", "))
    return response.status_code, text, sorted(set(response.headers) - {"date"}), methods


def private(members: Members) -> set[str]:
    """What no stranger may get to see: the ids, and the texts that no other member has."""
    answers = [answer.json() for answer in members.made.values()]
    texts = {value for answer in answers for value in answer.values() if isinstance(value, str) and len(value) >= 32}
    return texts | set(members.ids.values())


def answered_with(contract: Contract, method: str, template: str) -> set[str]:
    """The media types of a success."""
    return set(contract.operations[method, template]["responses"].get("200", {}).get("content", {}))


def collections(members: Members) -> list[str]:
    """Those whose members belong to users."""
    return [template for template in members.collections if ("post", template) in OWNED]


async def as_stored(members: Members) -> dict[str, tuple[str, str | None]]:
    answers = {path: await members.client.get(path) for path in members.made}
    return {path: (answer.text, answer.headers.get("etag")) for path, answer in answers.items()}


async def test_a_member_is_answered_as_if_it_did_not_exist(owner: Members, stranger: Members) -> None:
    before = await as_stored(owner)
    for method, template in OWNED:
        path = owner.path(template)
        if path is None or path == template:
            continue
        etag = owner.made[path].headers["etag"] if path in owner.made else '"1"'
        for verb in (method, *(["head", "options"] if method == "get" else [])):
            for headers in conditions(etag):
                request = owner.request(method, template)
                request["headers"] |= headers

                theirs = await stranger.client.request(verb, path, **request)
                missing = await stranger.client.request(verb, owner.contract.some_path(template), **request)

                assert told(theirs) == told(missing), (verb, template, headers)
                assert theirs.status_code == (200 if verb == "options" else 404), (verb, template, headers)

    assert await as_stored(owner) == before


async def test_users_on_the_same_connections_are_told_apart(
    owner: Members, stranger: Members, nobody: httpx.AsyncClient
) -> None:
    for path in owner.made:
        if ("get", owner.contract.parse(path)[0]) not in OWNED:
            continue
        asking = {401: nobody, 404: stranger.client, 200: owner.client}
        sent = {status: (await client.get(path)).request.headers for status, client in asking.items()}
        statuses = [*asking] * 20

        answers = await asyncio.gather(*(nobody.get(path, headers=sent[status]) for status in statuses))

        assert [answer.status_code for answer in answers] == statuses


async def test_no_list_and_no_export_tells_of_members(owner: Members, stranger: Members) -> None:
    """Not at the cursor of their owner either."""
    for template in collections(owner):
        await owner.post(template)  # a second one: the owner's list has a next page
    hidden, seen = private(owner), set[str]()
    for method, template in OWNED:
        path = owner.path(template) or owner.contract.some_path(template)
        if method != "get" or EVENTS in answered_with(owner.contract, method, template):
            continue
        answers = [await owner.client.get(path), await owner.client.get(path, params={"limit": 1})]
        seen |= {text for text in hidden for answer in answers if text in answer.text}
        pages = [page.get("next") for page in map(_object, answers)]
        for asked in (path, *filter(None, pages)):
            answer = await stranger.client.get(asked)

            assert not {text for text in hidden if text in answer.text and text not in asked}, asked

    assert seen >= hidden or not OWNED, "their owner sees them"


def _object(response: httpx.Response) -> Mapping[str, Any]:
    if response.status_code != 200 or response.headers["content-type"] != "application/json":
        return {}
    found = response.json()
    return found if isinstance(found, dict) else {}


async def test_an_admin_sees_the_members_of_all(owner: Members, stranger: Members) -> None:
    await stranger.make()

    assert await as_stored(stranger) == {
        path: ((answer := await owner.client.get(path)).text, answer.headers.get("etag")) for path in stranger.made
    }


async def test_the_key_of_another_user_is_a_new_one(owner: Members, stranger: Members) -> None:
    await stranger.make()
    for template in collections(owner):
        if "idempotency-key" not in owner.contract.request_headers("post", template):
            continue
        for of_the_same in (True, False):
            key = str(uuid4())
            first = await owner.post(template, key=key)
            content = first.request.content if of_the_same else None
            if content and any(found.encode() in content for found in owner.ids.values()):
                continue  # it refers to what the stranger cannot see

            other = await stranger.post(template, content, key)
            again = await owner.post(template, first.request.content, key)

            assert "idempotency-replayed" not in other.headers
            assert other.headers["location"] != first.headers["location"]
            assert (again.headers["idempotency-replayed"], again.json()) == ("true", first.json())


async def test_an_import_takes_no_member(owner: Members, stranger: Members) -> None:
    for method, template in OWNED:
        collection, _, name = template.rpartition("/")
        export = f"{collection}/export"
        path = owner.path(collection)
        if (method, name) != ("post", "import") or ("get", export) not in OWNED or path is None:
            continue
        before = await as_stored(owner)
        lines = (await owner.client.get(f"{path}/export")).text.splitlines()
        theirs = [line for line in lines if any(found in line for found in owner.ids.values())]
        assert theirs, export

        for line in theirs:
            answer = await stranger.client.post(f"{path}/import", content=line, headers={"content-type": NDJSON})

            assert answer.status_code == 409, answer.text
            assert not {text for text in private(owner) if text in answer.text}
        assert await as_stored(owner) == before


async def test_no_stream_tells_of_members(owner: Members, stranger: Members) -> None:
    """Neither live, nor after the last event that their owner got."""
    await stranger.make()
    for method, template in OWNED:
        collection, path = template.rpartition("/")[0], owner.path(template)
        if EVENTS not in answered_with(owner.contract, method, template) or path is None:
            continue
        if collection not in collections(owner):
            continue
        async with asyncio.timeout(WITHIN), AsyncExitStack() as stack:
            of_owner, live = await follow(stack, owner.client, path), await follow(stack, stranger.client, path)
            seen = await until(of_owner, await newest(owner, collection))
            [*_, event_id] = (line.removeprefix("id: ") for line in seen if line.startswith("id: "))
            missed = await newest(owner, collection)
            resumed = await follow(stack, stranger.client, path, event_id)
            for made in owner.made:  # the stranger follows while these are changed
                await owner.client.delete(made)
            own = await newest(stranger, collection)

            for stream in (live, resumed):
                text = "\n".join(await until(stream, own))
                assert not {secret for secret in private(owner) if secret in text}, template
            assert missed in "".join(await until(of_owner, own)), "an admin gets the events of all"


async def follow(
    stack: AsyncExitStack, client: httpx.AsyncClient, path: str, last_event_id: str | None = None
) -> AsyncIterator[str]:
    """The lines of a stream that has begun."""
    headers = {"last-event-id": last_event_id} if last_event_id else {}
    return (await stack.enter_async_context(client.stream("GET", path, headers=headers))).aiter_lines()


async def newest(members: Members, collection: str) -> str:
    """Makes a member, and returns its id."""
    return (await members.post(collection)).headers["location"].rpartition("/")[2]


async def until(lines: AsyncIterator[str], text: str) -> list[str]:
    """The lines of a stream up to the first with this text."""
    read: list[str] = []
    async for line in lines:
        read.append(line)
        if text in line:
            break
    return read
