"""The HTTP layer: at most one request, sent or not sent is known, bounded in time and size."""

import asyncio
import socket

import pytest
from aiohttp import web
from aiohttp.client_proto import ResponseHandler

from connectors import http
from connectors.port import Answer, NoAnswerKind
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
    soon,
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


def test_what_comes_while_a_connection_is_idle_answers_no_later_call() -> None:
    """One host serves many companies: an answer too many would be told to another one."""

    async def main() -> None:
        more = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nforeign!!"
        come = asyncio.Event()

        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            writer.write(OK)
            if raw.connections == 1:
                await come.wait()
                writer.write(more)
            await reader.read()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            assert isinstance(await call(session, raw.url), Answer)
            connector = session._connector
            assert connector is not None
            ((protocol, _since),) = next(iter(connector._conns.values()))
            come.set()
            await soon(lambda: protocol.should_close)
            no_answer(await call(session, raw.url), NoAnswerKind.REFUSED, sent=False)
            assert raw.requests == 1
            third = await call(session, raw.url)
            assert isinstance(third, Answer)
            assert third.body == b"{}"
            assert raw.connections == 2

    asyncio.run(main())


def test_two_answers_at_once_close_the_connection_and_the_first_counts() -> None:
    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            writer.write(OK + OK if raw.connections == 1 else OK)
            await reader.read()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            for _ in range(2):
                reply = await call(session, raw.url)
                assert isinstance(reply, Answer)
                assert reply.body == b"{}"
            assert raw.connections == 2

    asyncio.run(main())


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_an_interim_answer_is_not_the_answer(status: bytes) -> None:
    reply, _ = from_raw(b"HTTP/1.1 " + status + b"\r\nLink: </a>\r\n\r\n" + OK)
    assert isinstance(reply, Answer)
    assert (reply.status, reply.body) == (200, b"{}")


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
            connector = session._connector
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
                connector = session._connector
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
            connector = session._connector
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


def test_head_and_body_are_written_before_anything_else_can_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the last question and the bytes there must be no moment for a pause."""

    async def main() -> None:
        steps: list[str] = []

        def may_send() -> bool:
            asyncio.get_running_loop().call_soon(steps.append, "something else")
            steps.append("asked")
            return True

        async with raw_server(answering(OK)) as raw, session_for(raw.url) as session:

            class Watched(http._Call):
                def open(self, protocol: ResponseHandler | None) -> asyncio.WriteTransport:
                    transport = super().open(protocol)
                    return WatchedTransport(transport)  # type: ignore[return-value]  # a double

            class WatchedTransport:
                def __init__(self, transport: asyncio.WriteTransport) -> None:
                    self._transport = transport

                def write(self, data: bytes) -> None:
                    steps.append(f"written {data[:6].decode()} {data[-7:].decode()}")
                    self._transport.write(data)

            monkeypatch.setattr(http, "_Call", Watched)
            assert isinstance(await call(session, raw.url + "/", may_send=may_send), Answer)
            assert steps == ["asked", 'written POST / {"a":1}', "something else"]

    asyncio.run(main())
