"""A stand-in for DK+ that costs little: what customers and projects ask of it, after a set delay.

A process of its own (`python -m benchmarks.stub PORT_FILE`), so that its work is in nobody's
figures. It speaks just enough HTTP/1.1 for clients that send a Content-Length, keeps connections
open, and has a listen backlog that a thousand clients at once do not overrun. Every customer
exists unless it is told otherwise; a project exists once it is created. The simulator in
`connectors` is the faithful one; this one is only quick.
"""

import asyncio
import re
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop

from benchmarks.stub_record import Record

BACKLOG: Final = 8192  # connections not yet accepted; 128 drops some at a thousand in flight
CONTROL: Final = b"/control"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TOKEN: Final = re.compile(rb"\r\nauthorization: *bearer +([^\r]+)", re.IGNORECASE)
_NUMBER: Final = re.compile(rb'"Number": *"([^"]+)"')
_SERIAL: Final = re.compile(rb"#(\d+)")
_DONE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_BUSY: Final = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
_REFUSED: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n"
    b'{"Message":"This is not right"}'
)
_ABSENT: Final = (
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n"
    b'{"Message":"Not found"}'
)
_BROKEN: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Rule(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How one company is treated. `per_second`: so many calls, the rest get 429; None: all."""

    per_second: float | None = None
    never: bool = False  # takes the call and never answers
    broken: bool = False  # 503
    refuses: bool = False  # 400


class Orders(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the harness may change at any time, by POST to `/control`."""

    delay_ms: float | None = None
    reset: bool = False
    keep_arrivals: bool = False
    rules: dict[str, Rule] | None = None  # by token
    absent: str | None = None  # customers whose number begins so exist only once created


class Allowance:
    """So many calls a second, at most a second's worth saved up."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Whether a call at `now` is within the allowance; if so it is used up."""
        self._left = min(
            self._per_second, self._left + (now - self._at) * self._per_second if self._at else 1.0
        )
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Stub:
    """What all connections share: the record, the delay, the answers that wait for their time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.record = Record()
        self._delay_s = 0.0
        self._absent: bytes | None = None
        self._created: set[bytes] = set()
        self._rules: dict[bytes, Rule] = {}
        self._allowances: dict[bytes, Allowance] = {}
        self._waiting: deque[tuple[float, Connection, bytes, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def obey(self, orders: Orders) -> None:
        """Take orders of the harness."""
        if orders.delay_ms is not None and orders.delay_ms != self._delay_s * 1000:
            self._delay_s = orders.delay_ms / 1000
            self._forget_waiting()
        if orders.reset:
            self.record.reset(keep_arrivals=orders.keep_arrivals)
        if orders.absent is not None:
            self._absent = orders.absent.encode()
        if orders.rules is not None:
            self._rules = {token.encode(): rule for token, rule in orders.rules.items()}
            self._allowances = {
                token: Allowance(rule.per_second)
                for token, rule in self._rules.items()
                if rule.per_second is not None
            }

    def _forget_waiting(self) -> None:
        """What waits under another delay is never answered: the queue is in order of time."""
        while self._waiting:
            self.record.answered(self._waiting.popleft()[3])
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(
        self, connection: "Connection", method: bytes, path: bytes, head: bytes, body: bytes
    ) -> None:
        """One whole request has come."""
        if path == CONTROL:
            connection.answer(self._control(method, body))
            return
        now = self._loop.time()
        if method == b"GET":
            self.record.read(path, time.time())
            key, answer = None, self._read(path, head)
        else:
            key = self._written(method, path, body)
            # A customer's write has an empty answer, a project's its record (contract dkplus).
            answer = _DONE if b"/customer" in path else _found(key, head)
        if self._rules and not path.endswith(b"/company"):  # whose books they are is known
            treated = self._treated(head, now)
            if treated is None:
                self.record.report.failed += 1
                return
            answer = treated or answer
        if self._delay_s <= 0:
            self.record.answered(key)
            connection.answer(answer)
            return
        self._waiting.append((now + self._delay_s, connection, answer, key))
        if self._timer is None:
            self._timer = self._loop.call_later(self._delay_s, self._answer_due)

    def _read(self, path: bytes, head: bytes) -> bytes:
        if b"/search/" in path:
            return _json(b"[]")
        number = path.rpartition(b"/")[2]
        there = self._absent is None or not number.startswith(self._absent)
        if (there and b"/customer/" in path) or path in self._created or path.endswith(b"/company"):
            return _found(path, head)
        return _ABSENT

    def _written(self, method: bytes, path: bytes, body: bytes) -> bytes:
        """Take a write; returns what it is of, the path that reads it."""
        if method == b"POST" and (number := _NUMBER.search(body)):
            path = path + b"/" + number[1]
            self._created.add(path)
        serial = _SERIAL.search(body)
        self.record.write(path, int(serial[1]) if serial else 0, time.time())
        return path

    def _treated(self, head: bytes, now: float) -> bytes | None:
        """The answer of a company with a rule; empty where it is as always, None for none."""
        found = _TOKEN.search(head)
        rule = self._rules.get(found[1]) if found else None
        if found is None or rule is None:
            return b""
        if rule.never:
            return None
        if rule.broken or rule.refuses:
            self.record.report.failed += 1
            return _BROKEN if rule.broken else _REFUSED
        allowance = self._allowances.get(found[1])
        if allowance is None or allowance.take(now):
            return b""
        self.record.report.refused += 1
        return _BUSY

    def _answer_due(self) -> None:
        now = self._loop.time()
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            _, connection, answer, key = waiting.popleft()
            self.record.answered(key)
            connection.answer(answer)
        self._timer = self._loop.call_at(waiting[0][0], self._answer_due) if waiting else None

    def _control(self, method: bytes, body: bytes) -> bytes:
        if method == b"POST":
            self.obey(msgspec.json.decode(body, type=Orders))
        return _json(msgspec.json.encode(self.record.document()))


class Connection(asyncio.Protocol):
    """One client's connection: requests cut out of the bytes that come."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of its children

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it: answers that are due later go nowhere."""
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take every whole request there is."""
        self._buffer = self._buffer + data if self._buffer else data
        while self._buffer:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body = self._buffer[end + 4 : whole]
            self._buffer = self._buffer[whole:]
            method, path, _ = head.split(b" ", 2)
            self._stub.take(self, method, path, head, body)

    def answer(self, answer: bytes) -> None:
        """Write an answer, unless the client has gone."""
        if self._transport is not None:
            self._transport.write(answer)


def _json(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _found(path: bytes, head: bytes) -> bytes:
    """A record of what was asked for: a customer's, or the company of the token."""
    if path.endswith(b"/company"):
        token = _TOKEN.search(head)
        number = token[1] if token else b"1"
        return _json(
            b'{"Information":{"Owner":"stub","Company":{"Number":"%s"}},'
            b'"General":{"DefaultCurrency":"ISK"}}' % number
        )
    return _json(b'{"Number":"%s","Name":"As it was"}' % path.rpartition(b"/")[2])


async def serve(port_file: Path) -> None:
    """Serve until the process is ended. The port is written to `port_file`."""
    loop = asyncio.get_running_loop()
    stub = Stub(loop)
    server = await loop.create_server(lambda: Connection(stub), "127.0.0.1", 0, backlog=BACKLOG)
    fresh = port_file.with_suffix(".new")
    fresh.write_text(str(server.sockets[0].getsockname()[1]), encoding="ascii")
    fresh.replace(port_file)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
