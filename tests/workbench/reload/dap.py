"""A small editor: a client of the Debug Adapter Protocol, as VS Code and PyCharm are."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.waiting import WITHIN

Message = dict[str, Any]
Breakpoints = dict[Path, list[int]]


class Refused(Exception):
    """The adapter refused a request, or ended the connection before it had answered."""


class Session:
    """One connection, which debugs one process."""

    def __init__(self, editor: "Editor", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.initialized = asyncio.Event()
        """Or it has ended before."""
        self.ended = asyncio.Event()
        self._editor = editor
        self._reader = reader
        self._writer = writer
        self._answers: list[asyncio.Future[Message]] = []
        self._listening = asyncio.create_task(self._listen())

    def send(self, command: str, **arguments: Any) -> "asyncio.Future[Message]":
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self._write(type="request", seq=len(self._answers), command=command, arguments=arguments)
        return answer

    async def request(self, command: str, **arguments: Any) -> Message:
        """Returns the body of the answer."""
        return await self.answer(self.send(command, **arguments))

    @staticmethod
    async def answer(sent: "asyncio.Future[Message]") -> Message:
        async with asyncio.timeout(WITHIN):
            message = await sent
        if not message["success"]:
            raise Refused(message)
        return message.get("body") or {}

    async def set_breakpoints(self, breakpoints: Breakpoints) -> None:
        for path, lines in breakpoints.items():
            wanted = [{"line": line} for line in lines]
            found = await self.request("setBreakpoints", source={"path": str(path)}, breakpoints=wanted)
            assert all(one["verified"] for one in found["breakpoints"]), found

    async def close(self) -> None:
        if not self.ended.is_set():
            await self.request("disconnect")
        self._listening.cancel()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def _write(self, **message: Any) -> None:
        body = json.dumps(message).encode()
        self._writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _listen(self) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await self._reader.readuntil(b"\r\n\r\n")
                self._on_message(json.loads(await self._reader.readexactly(int(head.split(b":")[1]))))
        self._end()
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(Refused("the connection has ended"))

    def _end(self) -> None:
        self.ended.set()
        self.initialized.set()

    def _on_message(self, message: Message) -> None:
        match message["type"], message.get("event") or message.get("command"):
            case "response", _:
                self._answers[message["request_seq"] - 1].set_result(message)
            case "event", "initialized":
                self.initialized.set()
            case "event", "stopped":
                self._editor.stopped.put_nowait((self, message["body"]["threadId"]))
            case "event", "terminated":
                self._end()
            case "request", "startDebugging":
                self._editor.children.put_nowait(message["arguments"]["configuration"])
                self._write(
                    type="response", seq=0, request_seq=message["seq"], command="startDebugging", success=True
                )


@dataclass(frozen=True)
class Stop:
    """A thread that has stopped, and its frames, the innermost one first."""

    session: Session
    thread: int
    frames: list[Message]

    @property
    def place(self) -> tuple[Path, int]:
        return Path(self.frames[0]["source"]["path"]), self.frames[0]["line"]

    async def evaluate(self, expression: str, file: str = "") -> str:
        """The repr of an expression in the innermost frame, or in the innermost one of a file."""
        frame = next(frame for frame in self.frames if frame["source"]["path"].endswith(file))
        return str((await self.session.request("evaluate", expression=expression, frameId=frame["id"]))["result"])

    async def go_on(self) -> None:
        await self.session.request("continue", threadId=self.thread)


class Editor:
    """Debugs the process at a port, and each child of it that it is told of. All have the same breakpoints."""

    def __init__(self, port: int, breakpoints: Breakpoints) -> None:
        self.breakpoints = breakpoints
        self.stopped: asyncio.Queue[tuple[Session, int]] = asyncio.Queue()
        self.children: asyncio.Queue[Message] = asyncio.Queue()
        self._port = port
        self._sessions: list[Session] = []
        self._attached: dict[int, asyncio.Future[Session]] = {}

    async def attach(self, configuration: Mapping[str, Any]) -> None:
        session = Session(self, *await asyncio.open_connection("127.0.0.1", self._port))
        self._sessions.append(session)
        await session.request("initialize", adapterID="debugpy", supportsStartDebuggingRequest=True)
        attaching = session.send("attach", **configuration)
        async with asyncio.timeout(WITHIN):
            await session.initialized.wait()
        await session.set_breakpoints(self.breakpoints)
        await session.request("configurationDone")
        await session.answer(attaching)
        if child := configuration.get("subProcessId"):
            self._of(child).set_result(session)

    async def follow(self) -> None:
        """Attaches to each child, unless it has just ended, as the process of the version before may have."""
        while True:
            with suppress(Refused):
                await self.attach(await self.children.get())

    async def attached_to(self, pid: int) -> Session:
        async with asyncio.timeout(WITHIN):
            return await self._of(pid)

    async def until_stopped(self) -> Stop:
        async with asyncio.timeout(WITHIN):
            session, thread = await self.stopped.get()
        return Stop(session, thread, (await session.request("stackTrace", threadId=thread))["stackFrames"])

    async def set(self, breakpoints: Breakpoints) -> None:
        self.breakpoints = breakpoints
        for session in self._sessions:
            if not session.ended.is_set():
                try:
                    await session.set_breakpoints(breakpoints)
                except Refused:
                    async with asyncio.timeout(WITHIN):
                        await session.ended.wait()  # its process is that of the version before, and has just ended

    async def close(self) -> None:
        """Leaves all processes, which go on."""
        for session in reversed(self._sessions):  # the root comes last
            await session.close()

    def _of(self, pid: int) -> "asyncio.Future[Session]":
        return self._attached.setdefault(pid, asyncio.get_running_loop().create_future())


@asynccontextmanager
async def attached(port: int, breakpoints: Breakpoints) -> AsyncIterator[Editor]:
    """An editor that stays attached for the block."""
    editor = Editor(port, breakpoints)
    await editor.attach({"connect": {"host": "127.0.0.1", "port": port}})
    following = asyncio.create_task(editor.follow())
    try:
        yield editor
    finally:
        following.cancel()
        await editor.close()
