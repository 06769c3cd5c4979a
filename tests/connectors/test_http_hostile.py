"""The HTTP layer against a server that wants to harm: bounded in time, bytes and attention."""

import asyncio
import gzip
import time
import tracemalloc
import zlib

import pytest

from connectors.http import BODY_MAX_BYTES
from connectors.port import Answer, NoAnswer, NoAnswerKind
from tests.connectors.loopback import (
    RawServer,
    Reader,
    Writer,
    call,
    from_raw,
    no_answer,
    raw_server,
    session_for,
)

# Our own loop stands still no longer than this, also on a busy machine: 20 times what was seen.
STANDSTILL_S = 1.0
DEADLINE_S = 0.3
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


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


ENDLESS = {
    "status line": (b"HTTP/1.1 200 ", b"x" * 1_000),
    "one header": (HEAD + b"X: ", b"y" * 1_000),
    "headers": (HEAD, b"X: y\r\n" * 200),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "chunk length": (CHUNKED, b"0" * 1_000),
    "chunk extension": (CHUNKED + b"1;", b"x" * 1_000),
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n" * 200),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 200),
    "body without an end": (HEAD + b"\r\n", b"x" * 60_000),
    "body": (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * 60_000),
}


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_whatever_has_no_end_is_ended_while_others_go_on(what: str, method: str) -> None:
    """As fast as the server can write; whether bytes or time run out first does not matter."""
    begin, more = ENDLESS[what]

    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            writer.write(begin)
            while True:
                writer.write(more)
                await writer.drain()
                await asyncio.sleep(0)

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            standstill = asyncio.create_task(longest_standstill())
            reply = await call(session, raw.url, method=method, deadline_s=DEADLINE_S)
            standstill.cancel()
            assert isinstance(reply, NoAnswer)
            assert reply.sent
            assert raw.requests == 1
            assert await standstill < STANDSTILL_S

    asyncio.run(main())


async def longest_standstill() -> float:
    """Until it is cancelled; then the longest time in which the loop did nothing else."""
    longest, before = 0.0, time.monotonic()
    try:
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            longest, before = max(longest, now - before), now
    except asyncio.CancelledError:
        return max(longest, time.monotonic() - before)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("times", [20, 100])
def test_a_bomb_does_not_stop_the_loop(coding: str, times: int) -> None:
    """Much is unpacked from little: it is given up at the bound, not unpacked to the end."""
    packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    mebibyte = b"\0" * 1024 * 1024
    packed = [packer.compress(mebibyte) for _ in range(times * BODY_MAX_BYTES // len(mebibyte))]
    bomb = b"".join([*packed, packer.flush()])
    head = f"Content-Encoding: {coding}\r\nContent-Length: {len(bomb)}\r\n\r\n"

    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await raw.request(reader)
            writer.write(HEAD + head.encode() + bomb)
            await reader.read()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            standstill = asyncio.create_task(longest_standstill())
            no_answer(await call(session, raw.url), NoAnswerKind.TOO_LARGE, sent=True)
            standstill.cancel()
            assert await standstill < STANDSTILL_S

    asyncio.run(main())


def test_a_bomb_within_a_bomb_is_unpacked_once() -> None:
    inner = gzip.compress(b"{}")
    body = gzip.compress(inner)
    head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    reply, _ = from_raw(HEAD + head + body)
    assert isinstance(reply, Answer)
    assert reply.body == inner


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        HEAD + b"Content-Length: +2\r\n\r\n{}",
        CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"fffffffffffffffff\r\n{}",
        CHUNKED + b"2\r\n{}{}\r\n0\r\n\r\n",
        HEAD + b"No colon here\r\n\r\n{}",
        HEAD + b" : \r\n\r\n{}",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\x00" * 100,
        CHUNKED + b"2\r\n{}\r\n",
    ],
)
def test_nonsense_is_never_an_answer(data: bytes) -> None:
    """What two readers could read differently is read by nobody."""
    reply, raw = from_raw(data)
    no_answer(reply, NoAnswerKind.BROKEN, sent=True)
    assert raw.requests == 1


@pytest.mark.parametrize(
    "kind", [b"text/html", b"application/json; charset=nonsense", b"\xff/\xfe"]
)
def test_a_wrong_content_type_changes_no_byte_of_the_answer(kind: bytes) -> None:
    body = b"\xff\xfe{\x00"
    head = b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
    reply, _ = from_raw(HEAD + head + body)
    assert isinstance(reply, Answer)
    assert reply.body == body
