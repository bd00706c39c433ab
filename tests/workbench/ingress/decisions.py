"""What the gateway decides about a request, and what the service gets of the user."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.workbench.ingress.stub_replicas import Received

Decision = int | tuple[str, Mapping[str, str]]
"""The status of a refusal; or else the path that the service gets, and its headers about the user, with the token.

Without the time at which the token expires, which is another one each time.
"""

Header = tuple[str, str]

LOCALHOST = "localhost"


@dataclass(frozen=True)
class Request:
    name: str
    decision: Decision
    target: str = "/things"
    method: str = "GET"
    headers: list[Header] = field(default_factory=list)


def bearer(token: str) -> Header:
    return ("authorization", f"Bearer {token}")


async def tell(request: Received) -> None:
    """Answers what the service gets of a request, as the answer of a replica."""
    user = {name: value for name, value in request.headers.items() if name.startswith(("x-user", "authorization"))}
    await request.respond(200, headers=f"x-got: {json.dumps([request.target, user])}\r\n")


@dataclass(frozen=True)
class Address:
    """Where a gateway is, and the host that it is asked for."""

    port: int
    at: str = "127.0.0.1"
    host: str = LOCALHOST


async def decision(address: Address, request: Request) -> Decision:
    target = request.target.replace(f"//{LOCALHOST}/", f"//{address.host}/")
    lines = [f"{request.method} {target} HTTP/1.1", f"host: {address.host}", "content-length: 0"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    reader, writer = await asyncio.open_connection(address.at, address.port)
    writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
    status, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    writer.close()
    for line in headers:
        if line.startswith("x-got: "):
            target, user = json.loads(line[7:])
            user.pop("x-user-expires", None)
            return target, user
    return int(status.split(" ")[1])


async def decisions(address: Address, requests: Sequence[Request]) -> dict[str, Decision]:
    return {request.name: await decision(address, request) for request in requests}
