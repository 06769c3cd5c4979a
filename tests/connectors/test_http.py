"""The HTTP layer: at most one request, sent or not sent is known, bounded in time and size."""

import asyncio
import gzip
import socket
import tracemalloc

import pytest
from aiohttp import ClientResponse, web
from aiohttp.connector import Connection

from connectors import http
from connectors.http import BODY_MAX_BYTES
from connectors.port import Answer, NoAnswer, NoAnswerKind
from tests.connectors.loopback import (
    OK,
    RawServer,
    Reader,
    Writer,
    answering,
    call,
    from_raw,
    no_answer,
    once_then_broken,
    raw_server,
    session_for,
    silent,
    web_server,
)


def test_an_answer_comes_whole_with_lower_case_headers_and_the_very_path_and_query() -> None:
    async def main() -> None:
        seen: list[tuple[str, bytes, str]] = []

        async def handle(request: web.Request) -> web.Response:
            seen.append((request.raw_path, await request.read(), request.method))
            return web.json_response({"ok": True}, headers={"X-One": "1", "Link": "a"})

        target = "/api/biz/a%20b%2Fc?filter=Name%20eq%20%27a%2Bb%27&top=1"
        route = web.route("*", "/{tail:.*}", handle)
        async with web_server(route) as url, session_for(url) as session:
            reply = await call(session, url + target, method="PUT", body=b"x")
        assert isinstance(reply, Answer)
        assert (reply.status, reply.body) == (200, b'{"ok": true}')
        assert reply.headers["x-one"] == "1"
        assert seen == [(target, b"x", "PUT")]

    asyncio.run(main())


@pytest.mark.parametrize("method", ["PUT", "GET", "POST", "DELETE"])
def test_a_request_on_a_dead_kept_connection_is_sent_at_most_once(method: str) -> None:
    """By itself aiohttp sends a PUT or GET again; for a booking that is a second booking."""

    async def main() -> None:
        async with raw_server(once_then_broken) as raw, session_for(raw.url) as session:
            first = await call(session, raw.url, method=method)
            assert isinstance(first, Answer)
            second = await call(session, raw.url, method=method)
            no_answer(second, NoAnswerKind.BROKEN, sent=True)
            assert raw.connections == 1
            assert raw.requests == 2

    asyncio.run(main())


def test_aiohttp_would_repeat_a_put_without_our_switch() -> None:
    """Shows that the test above can fail: with the switch on, the guard is what stands there."""

    async def main() -> None:
        async with raw_server(once_then_broken) as raw, session_for(raw.url) as session:
            assert session._session is not None
            session._session._retry_connection = True
            assert isinstance(await call(session, raw.url, method="PUT"), Answer)
            second = await call(session, raw.url, method="PUT")
            assert raw.connections == 2
            # The guard let no byte of the repetition out.
            assert raw.requests == 2
            no_answer(second, NoAnswerKind.BROKEN, sent=True)

    asyncio.run(main())


def test_an_aiohttp_without_the_switch_stops_the_start() -> None:
    with pytest.raises(RuntimeError, match="_retry_connection"):
        http._never_repeat(object())  # type: ignore[arg-type]


def test_a_connection_that_was_closed_while_idle_is_not_taken() -> None:
    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            writer.write(OK)
            await writer.drain()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            for _ in range(3):
                assert isinstance(await call(session, raw.url), Answer)
                await asyncio.sleep(0.02)  # the server's FIN has to arrive
            assert raw.connections == 3

    asyncio.run(main())


def test_a_kept_connection_is_used_again_and_has_a_short_life() -> None:
    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            while True:
                await raw.request(reader)
                writer.write(OK)

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            for _ in range(5):
                assert isinstance(await call(session, raw.url), Answer)
            assert raw.connections == 1
            for _ in range(2):
                await call(session, raw.url, body=b"x" * (http.KEEPALIVE_BODY_BYTES + 1))
            assert raw.connections == 2, "a large body takes its connection with it"
            assert session._session is not None
            connector = session._session.connector
            assert connector is not None
            assert connector._keepalive_timeout == http.KEEPALIVE_S
            assert http.KEEPALIVE_S < 5

    asyncio.run(main())


def test_nothing_is_sent_when_there_is_no_server() -> None:
    async def main() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with session_for(url) as session:
            no_answer(await call(session, url), NoAnswerKind.REFUSED, sent=False)

    asyncio.run(main())


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_may_send_is_asked_after_the_connection_is_had_and_no_byte_leaves_on_a_no(
    method: str,
) -> None:
    async def main() -> None:
        asked_with: list[int] = []

        async with raw_server(silent) as raw, session_for(raw.url) as session:

            def may_send() -> bool:
                assert session._session is not None
                connector = session._session.connector
                assert connector is not None
                asked_with.append(len(connector._acquired))
                return False

            reply = await call(session, raw.url, method=method, may_send=may_send)
            no_answer(reply, NoAnswerKind.DROPPED, sent=False)
            await session.close()
            assert asked_with == [1]
            assert raw.received == b""

    asyncio.run(main())


def test_a_call_that_ran_out_of_time_while_connecting_was_not_sent() -> None:
    """A listener whose backlog is full takes no connection: the call hangs before any byte."""

    async def main() -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            fill = [socket.socket() for _ in range(4)]
            for one in fill:
                one.setblocking(False)
                one.connect_ex(deaf.getsockname())
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            async with session_for(url) as session:
                reply = await call(session, url, deadline_s=0.2)
            for one in fill:
                one.close()
        no_answer(reply, NoAnswerKind.TIMEOUT, sent=False)

    asyncio.run(main())


def test_a_server_that_does_not_answer_is_a_timeout_of_a_sent_request() -> None:
    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            await reader.read()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            reply = await call(session, raw.url, deadline_s=0.1)
            no_answer(reply, NoAnswerKind.TIMEOUT, sent=True)
            assert raw.requests == 1

    asyncio.run(main())


def test_a_slow_drip_ends_at_the_deadline() -> None:
    """Each byte comes in time; only a deadline over the whole call ends it."""

    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            begun = asyncio.get_running_loop().time()
            reply = await call(session, raw.url, deadline_s=0.2)
            no_answer(reply, NoAnswerKind.TIMEOUT, sent=True)
            assert asyncio.get_running_loop().time() - begun < 1.5

    asyncio.run(main())


def test_an_endless_body_is_cut() -> None:
    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            while True:
                writer.write(chunk)
                await writer.drain()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            no_answer(await call(session, raw.url), NoAnswerKind.TOO_LARGE, sent=True)

    asyncio.run(main())


def test_a_gzip_bomb_is_cut_before_it_fills_the_memory() -> None:
    bomb = gzip.compress(b"\0" * (20 * BODY_MAX_BYTES))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    tracemalloc.start()
    try:
        reply, _ = from_raw(head.encode() + bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    no_answer(reply, NoAnswerKind.TOO_LARGE, sent=True)
    assert peak < 4 * BODY_MAX_BYTES


def test_a_zipped_answer_is_unzipped() -> None:
    body = gzip.compress(b'{"a": 1}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    reply, _ = from_raw(head.encode() + body)
    assert isinstance(reply, Answer)
    assert reply.body == b'{"a": 1}'


@pytest.mark.parametrize(
    "data",
    [
        b"",  # closed without a word
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_what_is_no_whole_answer_is_broken_and_was_sent(data: bytes, method: str) -> None:
    reply, raw = from_raw(data, method=method)
    no_answer(reply, NoAnswerKind.BROKEN, sent=True)
    assert raw.requests == 1


def test_a_reset_after_the_request_is_broken_and_was_sent() -> None:
    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            writer.transport.abort()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            no_answer(await call(session, raw.url), NoAnswerKind.BROKEN, sent=True)

    asyncio.run(main())


def test_a_reset_before_the_request_is_never_told_as_answered() -> None:
    """The peer resets at once: what we know of the bytes decides, and no exception escapes."""

    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            writer.transport.abort()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            reply = await call(session, raw.url)
            assert isinstance(reply, NoAnswer)
            kinds = {True: NoAnswerKind.BROKEN, False: NoAnswerKind.REFUSED}
            assert reply.kind == kinds[reply.sent]

    asyncio.run(main())


def test_a_cancelled_call_gives_its_connection_up() -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            arrived.set()
            await reader.read()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            task = asyncio.create_task(call(session, raw.url))
            async with asyncio.timeout(5):
                await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert session._session is not None
            connector = session._session.connector
            assert connector is not None
            assert not connector._acquired

    asyncio.run(main())


def test_hundreds_of_calls_are_in_flight_at_once() -> None:
    """The limit of a hundred connections that aiohttp has by itself must not be the bottleneck."""

    async def main() -> None:
        waiting = 0
        all_there = asyncio.Event()

        async def handle(_request: web.Request) -> web.Response:
            nonlocal waiting
            waiting += 1
            if waiting == 250:
                all_there.set()
            async with asyncio.timeout(10):
                await all_there.wait()
            return web.Response()

        async with web_server(web.post("/", handle)) as url, session_for(url) as session:
            replies = await asyncio.gather(*(call(session, url + "/") for _ in range(250)))
        assert all(isinstance(reply, Answer) for reply in replies)

    asyncio.run(main())


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 5_000_000])
def test_a_body_of_any_size_arrives_whole(size: int) -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def handle(request: web.Request) -> web.Response:
            seen.append(await request.read())
            return web.Response()

        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        app_limit = web.post("/", handle)
        async with web_server(app_limit) as url, session_for(url) as session:
            for _ in range(2):
                assert isinstance(await call(session, url + "/", body=body), Answer)
        assert seen == [body, body]

    asyncio.run(main())


def test_head_and_body_are_written_before_anything_else_can_run() -> None:
    """Between the last question and the bytes there must be no moment for a pause."""

    async def main() -> None:
        steps: list[str] = []

        def may_send() -> bool:
            asyncio.get_running_loop().call_soon(steps.append, "something else")
            steps.append("asked")
            return True

        async with raw_server(answering(OK)) as raw, session_for(raw.url) as session:
            assert session._session is not None

            class Watched(http._GuardedRequest):
                async def send(self, conn: Connection) -> ClientResponse:
                    response = await super().send(conn)
                    steps.append("written")
                    return response

            session._session._request_class = Watched
            assert isinstance(await call(session, raw.url, may_send=may_send), Answer)
            assert steps == ["asked", "written", "something else"]

    asyncio.run(main())
