"""HTTP, and the only place that knows aiohttp's client.

What it promises to those above:
- one call is at most one request on the wire: nothing is ever sent again by itself;
- whether bytes may have left is known of every call (`NoAnswer.sent`), and `may_send` is asked
  as the last act before they do;
- only the hosts it was given are called, verified, without redirects, proxies or cookies;
- every call ends within its deadline and holds at most `BODY_MAX_BYTES` of an answer;
- a remote failure never raises.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final, Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
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
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(sock_connect=CONNECT_DEADLINE_S)  # ours is cheaper
_EXPECTED: Final = (aiohttp.ClientError, HttpProcessingError, OSError)


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
    """The answer's body is larger than `BODY_MAX_BYTES`."""


class _Guard:
    """One call's last question before bytes leave, and whether they may have left."""

    __slots__ = ("body", "left", "may_send", "over")

    def __init__(self, body: bytes | None, may_send: Callable[[], bool]) -> None:
        self.body = body
        self.may_send = may_send
        self.left = False
        self.over = False

    def open(self, protocol: ResponseHandler | None) -> None:
        """Raise unless bytes may leave now; from here on they count as sent."""
        if self.left or self.over:
            # Cannot happen while aiohttp's own repetition is off; must never happen at all.
            raise aiohttp.ClientConnectionError("a second request, or one after its call ended")
        if protocol is None or not protocol.is_connected() or protocol.writing_paused:
            raise aiohttp.ClientConnectionError("the connection was closed while it was idle")
        if not self.may_send():
            raise _DroppedError
        self.left = True


_GUARD: ContextVar[_Guard] = ContextVar("guard")


class _GuardedRequest(aiohttp.ClientRequest):
    """A request that asks its guard between having a connection and writing to it.

    aiohttp is told of no body, so that it writes the head here and now; the body follows in the
    same breath. With a body of its own it would write both later, in a task that costs as much
    as the rest of the sending.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        guard = _GUARD.get()
        protocol, body = conn.protocol, guard.body
        guard.open(protocol)
        response = await super().send(conn)  # suspends nowhere without a body
        if body and protocol is not None and protocol.transport is not None:
            protocol.transport.write(body)
            if len(body) > KEEPALIVE_BODY_BYTES:
                protocol.force_close()
        return response


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
    """

    def __init__(
        self, allowed_hosts: frozenset[str], private_hosts: frozenset[str] = frozenset()
    ) -> None:
        self._allowed = allowed_hosts
        self._private = private_hosts
        self._approved: set[tuple[str, str, int | None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def allow(self, allowed_hosts: frozenset[str], private_hosts: frozenset[str]) -> None:
        """Take other hosts from now on (the settings were read again)."""
        self._allowed = allowed_hosts
        self._private = private_hosts
        self._approved.clear()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0,  # how much may be in flight is decided above, not here
            keepalive_timeout=KEEPALIVE_S,
            ttl_dns_cache=DNS_CACHE_S,
            resolver=_PublicResolver(lambda host: host in self._private),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            request_class=_GuardedRequest,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,
            trust_env=False,
            raise_for_status=False,
            skip_auto_headers=("Content-Type",),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"},
        )
        _never_repeat(self._session)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Calls in flight end as broken; later ones are dropped."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

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
        session = self._session
        if session is None:
            return _not_sent(NoAnswerKind.DROPPED, "the session is closed")
        target = self._target(url)
        if isinstance(target, str):
            return _not_sent(NoAnswerKind.REFUSED, target)
        guard = _Guard(body, may_send)
        token = _GUARD.set(guard)
        try:
            try:
                async with asyncio.timeout(deadline_s):
                    if body:
                        headers = {**headers, "Content-Length": str(len(body))}
                    return await _exchange(session, method, target, headers)
            finally:
                guard.over = True
        except _DroppedError:
            return _not_sent(NoAnswerKind.DROPPED, "given up before it was sent")
        except _TooLargeError:
            return NoAnswer(kind=NoAnswerKind.TOO_LARGE, sent=True, reason="answer too large")
        except Exception as error:  # whatever it is, only the guard knows whether bytes left
            if not isinstance(error, _EXPECTED):
                _LOG.exception("unexpected failure of an HTTP call")
            return NoAnswer(kind=_kind(error, guard), sent=guard.left, reason=_reason(error))
        finally:
            _GUARD.reset(token)

    def _target(self, url: str) -> URL | str:
        """The URL where it may be called, else why it may not."""
        try:
            target = URL(url, encoded=True)
            origin = (target.scheme, target.raw_host or "", target.port)
        except ValueError:
            return "not a URL"
        if origin not in self._approved:
            if (refusal := self._refusal(target)) is not None:
                return refusal
            # Judged once: parsing addresses would cost every call some microseconds.
            self._approved.add(origin)
        return target

    def _refusal(self, url: URL) -> str | None:
        host, name = f"{url.host_subcomponent}:{url.port}", url.raw_host or ""
        if host not in self._allowed:
            return "the host is not one that may be called"
        if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(name)):
            return "only https, and plain http to loopback, may be called"
        if host not in self._private and not _may_be_public(name):
            return "a private address that was not allowed"
        return None


async def _exchange(
    session: aiohttp.ClientSession, method: str, url: URL, headers: Mapping[str, str]
) -> Answer:
    response = await session.request(method, url, headers=headers, allow_redirects=False)
    try:
        return Answer(
            status=response.status,
            headers=_headers(response),
            body=await _bounded_body(response.content),
        )
    finally:
        # Gives nothing back that was read to its end; cuts what was not.
        response.close()


async def _bounded_body(content: aiohttp.StreamReader) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while not content.at_eof():
        chunk = await content.readany()
        size += len(chunk)
        if size > BODY_MAX_BYTES:
            raise _TooLargeError
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _never_repeat(session: aiohttp.ClientSession) -> None:
    """Turn off that aiohttp repeats a PUT or GET by itself on a dead kept-alive connection.

    The switch is private, so its absence stops the start; the guard would refuse a second
    request all the same.
    """
    if not hasattr(session, "_retry_connection"):
        raise RuntimeError("this aiohttp has no _retry_connection: see how it repeats requests")
    session._retry_connection = False  # noqa: SLF001 - there is no public way


def _not_sent(kind: NoAnswerKind, reason: str) -> NoAnswer:
    return NoAnswer(kind=kind, sent=False, reason=reason)


def _kind(error: Exception, guard: _Guard) -> NoAnswerKind:
    if isinstance(error, TimeoutError):
        return NoAnswerKind.TIMEOUT
    return NoAnswerKind.BROKEN if guard.left else NoAnswerKind.REFUSED


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
