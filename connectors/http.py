"""HTTP, and the only place that knows aiohttp's client.

What it promises to those above:
- one call is at most one request on the wire: nothing is ever sent again by itself;
- whether bytes may have left is known of every call (`NoAnswer.sent`), and `may_send` is asked
  as the last act before they do;
- only the hosts it was given are called, verified, without redirects, proxies or cookies;
- nothing in a URL or header can start a line of its own;
- every call ends within its deadline and holds at most `BODY_MAX_BYTES` of an answer;
- a remote failure never raises.

Of aiohttp it uses connections and the parser of answers, not its session: that repeats requests,
follows redirects, keeps cookies, and costs as much as all the rest of a call.
"""

import asyncio
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Final, Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from connectors.port import Answer, NoAnswer, NoAnswerKind

BODY_MAX_BYTES: Final = 8 * 1024 * 1024
"""After decompression. The largest honest answer, a page of 1,000 vouchers, has about 3 MiB."""

KEEPALIVE_S: Final = 4.0
"""A connection idle for longer is not taken again: servers close theirs after five seconds or
more, and a booking on a connection that is being closed would have an unknown outcome."""

KEEPALIVE_BODY_BYTES: Final = 64 * 1024
"""After a larger request its connection is closed: part of it may still be unsent when an early
answer (413) is complete, and the next request would be queued behind it."""

CONNECT_DEADLINE_S: Final = 10.0
"""Connecting, TLS included. A host that does not answer must not cost a call's whole deadline."""

DNS_CACHE_S: Final = 60
"""Long enough that names cost nothing, short enough to follow a move of the service."""

USER_AGENT: Final = "moment-sync"

_LOG = logging.getLogger(__name__)
_CONNECTING: Final = aiohttp.ClientTimeout(sock_connect=CONNECT_DEADLINE_S)
_EXPECTED: Final = (aiohttp.ClientError, HttpProcessingError, OSError)
_HEAD: Final = re.compile(r"[\x20-\x7e\r\n]+")
_TARGET: Final = re.compile(r"/[\x21\x24-\x7e]*")  # no blank, quote or fragment
_BODYLESS: Final = ("GET", "HEAD", "DELETE")
_INTERIM: Final = range(100, 200)  # "wait", "early hints": the answer is still to come
_SWITCHING: Final = 101


class HttpSender(Protocol):
    """What the shell needs of HTTP."""

    async def send(
        self,
        url: str,
        *,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline_s: float,
        may_send: Callable[[], bool],
    ) -> Answer | NoAnswer:
        """Send one request, at most once. See `HttpSession.send`."""


class _DroppedError(Exception):
    """`may_send` said no."""


class _TooLargeError(Exception):
    """The answer's body is larger than it may be."""


class _Unsafe(Exception):  # noqa: N818 - a refusal of ours, not a failure
    """What would be sent is not one request with these headers."""


class _Call:
    """One call: its last question before bytes leave, and whether they may have left."""

    __slots__ = ("body_max", "left", "may_send")

    def __init__(self, may_send: Callable[[], bool], body_max: int) -> None:
        self.may_send = may_send
        self.body_max = body_max
        self.left = False

    def open(self, protocol: ResponseHandler | None) -> asyncio.WriteTransport:
        """The transport to write to, now; raises unless bytes may leave. They count as sent."""
        if protocol is None or not protocol.is_connected() or protocol.writing_paused:
            raise aiohttp.ClientConnectionError("the connection was closed while it was idle")
        if protocol.should_close:
            # What came without being asked for would be taken for the answer to this call.
            raise aiohttp.ClientConnectionError("something came while the connection was idle")
        if not self.may_send():
            raise _DroppedError
        transport = protocol.transport
        assert transport is not None  # noqa: S101 - `is_connected` says so
        self.left = True
        return transport


class _Origin:
    """A scheme, host and port that may be called: what its requests have in common."""

    __slots__ = ("head", "key")

    def __init__(self, url: URL) -> None:
        host = url.host_port_subcomponent
        self.head = (
            f" HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n"
            "Accept-Encoding: gzip, deflate\r\n"
        )
        # Never sent: by it the connector knows whom to connect with.
        self.key = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop())

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        """The whole request as it goes out. Raises `_Unsafe` where it would be another one."""
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        if body or method not in _BODYLESS:
            lines.append(f"Content-Length: {len(body or b'')}\r\n")
        head = f"{method} {target}{self.head}{''.join(lines)}\r\n"
        ends = 5 + len(lines)
        if not _HEAD.fullmatch(head) or head.count("\n") != ends or head.count("\r") != ends:
            raise _Unsafe
        return head.encode() + body if body else head.encode()


class _PublicResolver(AbstractResolver):
    """Names to addresses; private addresses only for hosts that were allowed to have them."""

    def __init__(self, may_be_private: Callable[[str], bool]) -> None:
        self._may_be_private = may_be_private
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        if self._may_be_private(f"{host}:{port}"):
            return found
        public = [one for one in found if _is_public(one["host"])]
        if not public:
            raise OSError(None, "the name has only private addresses")
        return public

    async def close(self) -> None:
        await self._system.close()


class HttpSession:
    """The connections of a worker to all its accounting systems. Open it inside the loop.

    `allowed_hosts` are `host:port`, as they stand in URLs (lower case, port always given).
    `private_hosts` are those of them that may have private addresses; plain http is for loopback.
    No answer may be larger than `body_max` bytes.
    """

    def __init__(
        self,
        allowed_hosts: frozenset[str],
        private_hosts: frozenset[str] = frozenset(),
        *,
        body_max: int = BODY_MAX_BYTES,
    ) -> None:
        self._body_max = body_max
        self._allowed = allowed_hosts
        self._private = private_hosts
        self._approved: dict[str, _Origin] = {}
        self._connector: aiohttp.TCPConnector | None = None

    def allow(self, allowed_hosts: frozenset[str], private_hosts: frozenset[str]) -> None:
        """Take other hosts from now on (the settings were read again)."""
        self._allowed = allowed_hosts
        self._private = private_hosts
        self._approved.clear()

    async def __aenter__(self) -> Self:
        self._connector = aiohttp.TCPConnector(
            limit=0,  # how much may be in flight is decided above, not here
            keepalive_timeout=KEEPALIVE_S,
            ttl_dns_cache=DNS_CACHE_S,
            resolver=_PublicResolver(lambda host: host in self._private),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Calls in flight end as broken; later ones are dropped."""
        connector, self._connector = self._connector, None
        if connector is not None:
            await connector.close()

    async def send(
        self,
        url: str,
        *,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline_s: float,
        may_send: Callable[[], bool],
    ) -> Answer | NoAnswer:
        """Send one request, at most once, and return its whole answer or why there is none.

        `url` goes out as it is: path and query are already encoded. `deadline_s` covers the call
        from here to the last byte of the answer. `may_send` is asked when a connection is had and
        nothing else is left to do; False ends in `DROPPED`. Raises nothing but `CancelledError`;
        a cancelled call may have been sent.
        """
        connector = self._connector
        if connector is None:
            return _not_sent(NoAnswerKind.DROPPED, "the session is closed")
        cut = url.find("/", url.find("//") + 2)
        target = url[cut:] if cut > 0 else "/"
        origin = self._origin(url[:cut] if cut > 0 else url)
        if isinstance(origin, str):
            return _not_sent(NoAnswerKind.REFUSED, origin)
        if not _TARGET.fullmatch(target):
            return _not_sent(NoAnswerKind.REFUSED, "not a URL")
        this = _Call(may_send, self._body_max)
        try:
            async with asyncio.timeout(deadline_s):
                request = origin.request(method, target, headers, body)
                return await _exchange(connector, origin, request, method, this)
        except _Unsafe:
            return _not_sent(NoAnswerKind.REFUSED, "a header holds what no header may hold")
        except _DroppedError:
            return _not_sent(NoAnswerKind.DROPPED, "given up before it was sent")
        except _TooLargeError:
            return NoAnswer(kind=NoAnswerKind.TOO_LARGE, sent=True, reason="answer too large")
        except Exception as error:  # whatever it is, only the call knows whether bytes left
            if not isinstance(error, _EXPECTED):
                _LOG.exception(
                    "unexpected failure of an HTTP call", extra={"action": "call_failed"}
                )
            return NoAnswer(kind=_kind(error, this), sent=this.left, reason=_reason(error))

    def _origin(self, text: str) -> _Origin | str:
        """`scheme://host:port` where it may be called, else why it may not."""
        found = self._approved.get(text)
        if found is not None:
            return found
        try:
            url = URL(text, encoded=True)
            refusal = self._refusal(url)
        except ValueError:
            return "not a URL"
        if refusal is not None:
            return refusal
        # Judged once: parsing addresses would cost every call some microseconds.
        self._approved[text] = found = _Origin(url)
        return found

    def _refusal(self, url: URL) -> str | None:
        host, name = f"{url.host_subcomponent}:{url.port}", url.raw_host or ""
        if url.raw_user is not None or url.raw_password is not None:
            return "a URL with a user in it"
        if url.raw_path_qs not in {"", "/"} or url.raw_fragment:
            return "not a URL"
        if host not in self._allowed:
            return "the host is not one that may be called"
        if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(name)):
            return "only https, and plain http to loopback, may be called"
        if host not in self._private and not _may_be_public(name):
            return "a private address that was not allowed"
        return None


async def _exchange(
    connector: aiohttp.TCPConnector, origin: _Origin, request: bytes, method: str, this: _Call
) -> Answer:
    connection = await connector.connect(origin.key, traces=[], timeout=_CONNECTING)
    try:
        protocol = connection.protocol
        transport = this.open(protocol)
        assert protocol is not None  # noqa: S101 - else `open` has raised
        protocol.set_response_params(skip_payload=method == "HEAD", read_until_eof=True)
        transport.write(request)
        if len(request) > KEEPALIVE_BODY_BYTES:
            protocol.force_close()
        message, content = await protocol.read()
        while message.code in _INTERIM and message.code != _SWITCHING:
            message, content = await protocol.read()
        body = await _bounded_body(content, this.body_max)
    except BaseException:
        connection.close()
        raise
    connection.release()  # to be used again, or closed where more than the answer came
    return Answer(status=message.code, headers=_headers(message.headers), body=body)


async def _bounded_body(content: aiohttp.StreamReader, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while not content.at_eof():
        chunk = await content.readany()
        size += len(chunk)
        if size > most:
            raise _TooLargeError
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in given.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _not_sent(kind: NoAnswerKind, reason: str) -> NoAnswer:
    return NoAnswer(kind=kind, sent=False, reason=reason)


def _kind(error: Exception, this: _Call) -> NoAnswerKind:
    if isinstance(error, TimeoutError):
        return NoAnswerKind.TIMEOUT
    return NoAnswerKind.BROKEN if this.left else NoAnswerKind.REFUSED


def _reason(error: Exception) -> str:
    """What happened, without the error's own text: that may quote the request."""
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        detail = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else None
    elif isinstance(error, aiohttp.ClientConnectorError):
        detail = error.os_error.strerror
    else:
        detail = error.strerror if isinstance(error, OSError) else None
    return f"{name}: {detail}" if detail else name


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _is_public(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_global


def _may_be_public(host: str) -> bool:
    """Whether a URL's host is a name (judged when it is resolved) or a public address."""
    address = _address(host)
    return address is None or address.is_global


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback
