"""Servers on loopback, and a clock, for the tests of the shell."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from aiohttp import web

from connectors.http import HttpSession
from connectors.port import Answer, NoAnswer, NoAnswerKind

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Handler = Callable[["RawServer", Reader, Writer], Awaitable[None]]

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class HandClock:
    """A clock that moves by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1_000.0)

    def elapsed(self) -> float:
        return self.seconds

    @property
    def boot_id(self) -> str:
        return "boot"


class RawServer:
    """A TCP server that counts connections and every byte it was sent."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.connections = 0
        self.received = b""
        self.url = ""
        self._writers: list[Writer] = []

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            await self._handler(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # asyncio would log the end of a test as an error of this task
        finally:
            writer.close()

    async def request(self, reader: Reader) -> bytes:
        """Read one request, head and body."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.received += head
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        body = await reader.readexactly(length)
        self.received += body
        return head + body

    @property
    def requests(self) -> int:
        """How many requests were begun, whatever became of them."""
        return self.received.count(b" HTTP/1.1\r\n")


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[RawServer]:
    """A raw server on a free port; `handler` is given the server to count with."""
    raw = RawServer(handler)
    server = await asyncio.start_server(raw, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    raw.url = f"http://127.0.0.1:{port}"
    try:
        yield raw
    finally:
        server.close()
        for writer in raw._writers:
            writer.close()


@asynccontextmanager
async def web_server(*routes: web.RouteDef) -> AsyncIterator[str]:
    """An aiohttp server on a free port; gives its URL."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def session_for(*urls: str) -> HttpSession:
    """A session that may call exactly these URLs' hosts."""
    hosts = frozenset(url.split("//")[1] for url in urls)
    return HttpSession(hosts, hosts)


async def soon(condition: Callable[[], bool], deadline_s: float = 5.0) -> None:
    """Wait until a condition holds, or fail."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - what is waited for is inside the subject
            await asyncio.sleep(0.001)


class BackgroundErrors(Protocol):
    def take(self, pattern: str = "") -> list[str]: ...


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def call(
    session: HttpSession,
    url: str,
    *,
    method: str = "POST",
    body: bytes | None = b'{"a":1}',
    deadline_s: float = 5.0,
    may_send: Callable[[], bool] = lambda: True,
    headers: dict[str, str] | None = None,
) -> Answer | NoAnswer:
    if method == "GET":
        body = None
    return await session.send(
        url,
        method=method,
        headers=headers or {},
        body=body,
        deadline_s=deadline_s,
        may_send=may_send,
    )


def no_answer(reply: Answer | NoAnswer, kind: NoAnswerKind, *, sent: bool) -> None:
    assert isinstance(reply, NoAnswer), reply
    assert (reply.kind, reply.sent) == (kind, sent), reply


def answering(data: bytes) -> Handler:
    """Answers the first request of a connection with these bytes and closes."""

    async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
        await raw.request(reader)
        writer.write(data)
        await writer.drain()

    return handler


async def once_then_broken(raw: RawServer, reader: Reader, writer: Writer) -> None:
    """Answers the first request of a connection, reads the second and breaks."""
    await raw.request(reader)
    writer.write(OK)
    await raw.request(reader)


async def silent(raw: RawServer, reader: Reader, _writer: Writer) -> None:
    """Takes whatever comes and says nothing."""
    raw.received += await reader.read()


def from_raw(data: bytes, method: str = "POST") -> tuple[Answer | NoAnswer, RawServer]:
    """One call to a server that answers with these bytes and closes."""

    async def main() -> tuple[Answer | NoAnswer, RawServer]:
        async with raw_server(answering(data)) as raw, session_for(raw.url) as session:
            return await call(session, raw.url + "/x", method=method), raw

    return asyncio.run(main())
