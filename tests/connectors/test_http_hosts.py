"""The HTTP layer: whom it calls, and that nothing escapes it."""

import asyncio
import inspect
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, client_exceptions, http_exceptions, web
from aiohttp.client_proto import ResponseHandler
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors import http
from connectors.http import HttpSession
from connectors.port import Answer, NoAnswer, NoAnswerKind
from tests.connectors.loopback import (
    OK,
    BackgroundErrors,
    Reader,
    Writer,
    answering,
    call,
    from_raw,
    no_answer,
    raw_server,
    session_for,
    web_server,
)


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", 302, b""),
        (b"HTTP/1.1 307 T\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n", 307, b""),
        (b"HTTP/1.1 500 E\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", 500,
         b"<html>"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 401 U\r\nContent-Length: 2\r\n\r\n{}", 401, b"{}"),
    ],
)  # fmt: skip
def test_every_complete_answer_is_an_answer_and_no_redirect_is_followed(
    data: bytes, status: int, body: bytes
) -> None:
    reply, raw = from_raw(data)
    assert isinstance(reply, Answer)
    assert (reply.status, reply.body) == (status, body)
    assert raw.requests == 1


def test_no_cookie_is_kept() -> None:
    async def main() -> None:
        seen: list[str | None] = []

        async def handle(request: web.Request) -> web.Response:
            seen.append(request.headers.get("Cookie"))
            return web.Response(headers={"Set-Cookie": "a=b; Path=/"})

        async with web_server(web.post("/", handle)) as by_address:
            # An ordinary jar keeps no cookies of addresses, so a name is needed.
            url = by_address.replace("127.0.0.1", "localhost")
            async with session_for(url) as session:
                await call(session, url + "/")
                await call(session, url + "/")
        assert seen == [None, None]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:9/x", False),  # allowed, but private
        ("http://elsewhere.example/x", True),  # plain http beyond loopback
        ("https://other.example/x", True),  # not in the list
        ("https://127.0.0.1.other.example:9/x", True),
        ("https://elsewhere.example:444/x", True),
        ("https://10.0.0.1/x", False),
        ("https://[::ffff:10.0.0.1]/x", False),
        ("https://elsewhere.example@other.example/x", True),
        ("https://user:word@elsewhere.example/x", True),
        ("https://elsewhere.example\\@other.example/x", True),
        ("https://elsewhere.example?x=/../y", True),
        ("https://elsewhere.example#x/y", True),
        ("//elsewhere.example/x", True),
        ("ftp://elsewhere.example:443/x", True),
        ("https://elsewhere.example:port/x", True),
        ("https://[nonsense/x", True),
        ("", True),
    ],
)
def test_only_allowed_hosts_are_called(url: str, private: bool) -> None:
    allowed = frozenset(
        {
            "127.0.0.1:9",
            "elsewhere.example:443",
            "elsewhere.example:80",
            "10.0.0.1:443",
            "[::ffff:a00:1]:443",
            "[::ffff:10.0.0.1]:443",
        }
    )

    async def main() -> None:
        async with HttpSession(allowed, allowed if private else frozenset()) as session:
            reply = await call(session, url)
            no_answer(reply, NoAnswerKind.REFUSED, sent=False)
            assert isinstance(reply, NoAnswer)
            assert ":" not in reply.reason, "refused by us, not by a failing connection"

    asyncio.run(main())


def test_a_name_that_leads_to_a_private_address_is_refused() -> None:
    """Someone who rules the DNS of an allowed name must not reach our own network."""

    async def main() -> None:
        hits = 0

        async def handle(_request: web.Request) -> web.Response:
            nonlocal hits
            hits += 1
            return web.Response()

        async with web_server(web.post("/", handle)) as url:
            name = url.replace("127.0.0.1", "localhost")
            host = name.split("//")[1]
            async with HttpSession(frozenset({host})) as session:
                no_answer(await call(session, name + "/"), NoAnswerKind.REFUSED, sent=False)
                assert hits == 0
                session.allow(frozenset({host}), frozenset({host}))
                assert isinstance(await call(session, name + "/"), Answer)
                session.allow(frozenset(), frozenset())
                no_answer(await call(session, name + "/"), NoAnswerKind.REFUSED, sent=False)
                assert hits == 1

    asyncio.run(main())


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "server.pem"
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_certificate_that_nobody_vouches_for_ends_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        received = b""

        async def handle(reader: Reader, writer: Writer) -> None:
            nonlocal received
            received += await reader.read()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=self_signed(tmp_path))
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with session_for(url) as session:
            reply = await call(session, url + "/")
        server.close()
        no_answer(reply, NoAnswerKind.REFUSED, sent=False)
        assert isinstance(reply, NoAnswer)
        assert "self-signed" in reply.reason.replace("self signed", "self-signed")
        assert received == b""

    asyncio.run(main())


def test_after_close_nothing_is_sent() -> None:
    async def main() -> None:
        session = session_for("http://127.0.0.1:9")
        no_answer(await call(session, "http://127.0.0.1:9/"), NoAnswerKind.DROPPED, sent=False)

    asyncio.run(main())


def aiohttp_exceptions() -> list[type[Exception]]:
    modules = (client_exceptions, http_exceptions)
    found = {
        one
        for module in modules
        for one in vars(module).values()
        if inspect.isclass(one) and issubclass(one, Exception)
    }
    return sorted(found, key=lambda one: one.__name__)


class _Raising:
    """A connector whose connecting ends with one given exception."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def connect(self, *_: object, **__: object) -> None:
        raise self._error

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("kind", aiohttp_exceptions(), ids=lambda kind: kind.__name__)
def test_no_exception_of_aiohttp_escapes(
    kind: type[Exception], background_errors: BackgroundErrors
) -> None:
    """A class that a new aiohttp adds is found here by itself."""

    async def main() -> None:
        error = kind.__new__(kind)
        for name in ("_conn_key", "_certificate_error", "_os_error"):
            if kind.__module__.endswith("client_exceptions"):
                error.__dict__.setdefault(name, OSError(1, "made up"))
        session = session_for("http://127.0.0.1:9")
        session._connector = _Raising(error)  # type: ignore[assignment]  # a double
        reply = await call(session, "http://127.0.0.1:9/")
        assert isinstance(reply, NoAnswer)
        assert not reply.sent

    assert len(aiohttp_exceptions()) > 30
    asyncio.run(main())
    # Told as a bug is only what has no place in plain requests (it is about web sockets).
    assert bool(background_errors.take("unexpected")) == (kind.__name__ == "WSMessageTypeError")


def test_a_bug_within_the_library_is_logged_and_does_not_escape(
    background_errors: BackgroundErrors,
) -> None:
    async def main() -> None:
        session = session_for("http://127.0.0.1:9")
        session._connector = _Raising(AssertionError())  # type: ignore[assignment]  # a double
        no_answer(await call(session, "http://127.0.0.1:9/"), NoAnswerKind.REFUSED, sent=False)

    asyncio.run(main())
    assert background_errors.take("unexpected failure")


@pytest.mark.parametrize("bad", ["hush\nhush", "hush\r\nX: y", "hush\0", "hush\x1b[31m", "hüsh"])
@pytest.mark.parametrize("where", ["value", "name"])
def test_a_header_that_would_be_another_request_is_not_sent_and_not_quoted(
    bad: str, where: str
) -> None:
    async def main() -> None:
        async with raw_server(answering(OK)) as raw, session_for(raw.url) as session:
            headers = {"Authorization": bad} if where == "value" else {bad: "x"}
            reply = await call(session, raw.url, headers=headers)
            no_answer(reply, NoAnswerKind.REFUSED, sent=False)
            assert "hush" not in repr(reply)
            assert raw.received == b""

    asyncio.run(main())


@pytest.mark.parametrize(
    "target", ["/a b", "/a\r\nX: y", "/a\tb", "/a#b", "/ä", "/a\0", '/"', "/\x1b[31m"]
)
def test_a_target_that_would_be_another_request_is_not_sent(target: str) -> None:
    async def main() -> None:
        async with raw_server(answering(OK)) as raw, session_for(raw.url) as session:
            no_answer(await call(session, raw.url + target), NoAnswerKind.REFUSED, sent=False)
            assert raw.received == b""

    asyncio.run(main())


@pytest.mark.parametrize("target", ["", "/"])
def test_a_url_without_a_path_asks_for_the_root(target: str) -> None:
    async def main() -> None:
        async with raw_server(answering(OK)) as raw, session_for(raw.url) as session:
            assert isinstance(await call(session, raw.url + target), Answer)
            assert raw.received.startswith(b"POST / HTTP/1.1\r\n")

    asyncio.run(main())


def test_a_connection_that_breaks_between_taking_and_writing_is_not_written_to() -> None:
    async def main() -> None:
        asked: list[str] = []

        def may_send() -> bool:
            asked.append("asked")
            return True

        guard = http._Call(may_send, http.BODY_MAX_BYTES)
        gone = ResponseHandler(asyncio.get_running_loop())
        for protocol in (None, gone):
            with pytest.raises(ClientConnectionError):
                guard.open(protocol)
        assert not guard.left
        assert asked == []

    asyncio.run(main())
