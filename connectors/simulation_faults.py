"""Faults that a simulated accounting system commits on purpose. Knows no accounting system.

A simulator hands each request to `FaultPlan.decide` and, where a rule comes back, lets `perform`
answer in its place. The request's effect is a synchronous function `act(twist) -> Reply`; the
fault decides whether, when and how often its answer is let through. Only the server side of
aiohttp is used.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec
from aiohttp import web

POLL_SECONDS = 0.02  # how often a held connection is checked for a client that went away
HOLD_SECONDS_MAX = 600.0  # no rule holds a connection longer; beyond it every client has given up
HTML_ERROR = (
    b"<!DOCTYPE html><html><head><title>Server Error</title></head>"
    b"<body><h1>Something went wrong on our side.</h1></body></html>"
)


class FaultKind(StrEnum):
    """What is done to a request. `commits` means the request's effect takes place."""

    COMMIT_NO_ANSWER = "commit-no-answer"  # commits; silent for `seconds`, then the line is cut
    COMMIT_LATER = "commit-later"  # cut at once; commits `seconds` afterwards
    RESET_BEFORE = "reset-before"  # cut, nothing done
    RESET_AFTER = "reset-after"  # commits, then cut
    SERVER_ERROR = "server-error"  # `status` (500) with HTML; commits where `commit`
    UNAVAILABLE = "unavailable"  # 503, Retry-After as asked; commits where `commit`
    TOO_MANY = "too-many"  # 429, Retry-After as asked; nothing done
    UNAUTHORISED = "unauthorised"  # 401; nothing done
    FORBIDDEN = "forbidden"  # 403; nothing done
    ANSWER = "answer"  # `status` and `body` as the rule says; commits where `commit`
    SLOW = "slow"  # commits and answers after `seconds`, also when the client has gone
    TRUNCATED_JSON = "truncated-json"  # commits; a whole HTTP answer that holds half the JSON
    BROKEN_OFF = "broken-off"  # commits; the line is cut in the middle of the body
    LAGGING = "lagging"  # answered without what was made in the last `seconds`
    ERROR_IN_ANSWER = "error-in-answer"  # 200 whose body tells of an error, where a system does so


class RetryAfterForm(StrEnum):
    """How a 429 or 503 says when to come back."""

    NONE = "none"
    SECONDS = "seconds"
    HTTP_DATE = "http-date"


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault and the requests it meets. `path`, `company`, `kind` are shell patterns (`*`).

    Of the matching requests the first `skip` pass, then each is met with `probability`, at most
    `limit` times. The first rule that meets a request wins.
    """

    fault: FaultKind
    method: str | None = None
    path: str | None = None
    company: str | None = None
    kind: str | None = None  # the simulator's own name of a call, such as `voucher.book`
    probability: float = 1.0
    skip: int = 0
    limit: int | None = None
    seconds: float = 0.0
    status: int = 0  # 0: the kind's own
    body: str | None = None
    content_type: str = "application/json; charset=utf-8"
    commit: bool = False
    retry_after: RetryAfterForm = RetryAfterForm.NONE
    retry_after_seconds: int = 1


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule may look at."""

    method: str
    path: str
    company: str = ""
    kind: str = ""


class Twist(msgspec.Struct, frozen=True, kw_only=True):
    """How the effect itself is to be bent: asked of the simulator, which knows its books."""

    lag_seconds: float = 0.0
    error_in_answer: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer, before any fault."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = {}


class FaultPlan:
    """The rules and how often each has met a request. One seed gives one sequence of faults."""

    def __init__(self, rules: Iterable[FaultRule] = (), seed: int = 0) -> None:
        self.replace(rules, seed)

    def replace(self, rules: Iterable[FaultRule], seed: int = 0) -> None:
        """Start anew with other rules; counts begin at nothing."""
        self.rules = tuple(rules)
        self.met = [0] * len(self.rules)
        self._matched = [0] * len(self.rules)
        # not for secrets: the point is that a seed repeats the same faults
        self._chances = [random.Random(f"{seed}/{i}") for i in range(len(self.rules))]  # noqa: S311

    def decide(self, seen: Sighting) -> FaultRule | None:
        """The rule that meets this request, or None. Counts it."""
        for index, rule in enumerate(self.rules):
            if not _matches(rule, seen):
                continue
            self._matched[index] += 1
            if self._matched[index] <= rule.skip:
                continue
            if rule.limit is not None and self.met[index] >= rule.limit:
                continue
            if rule.probability < 1 and self._chances[index].random() >= rule.probability:
                continue
            self.met[index] += 1
            return rule
        return None


def _matches(rule: FaultRule, seen: Sighting) -> bool:
    if rule.method is not None and rule.method.upper() != seen.method.upper():
        return False
    pairs = ((rule.path, seen.path), (rule.company, seen.company), (rule.kind, seen.kind))
    return all(pattern is None or fnmatchcase(value, pattern) for pattern, value in pairs)


Act = Callable[[Twist], Reply]


class Delayed:
    """Commits that are still to come. `close` drops them, as a process that ends would."""

    def __init__(self) -> None:
        self._handles: set[asyncio.TimerHandle] = set()

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Call `act` once, `seconds` from now."""

        def run() -> None:
            self._handles.discard(handle)
            act()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._handles.add(handle)

    def close(self) -> None:
        """Forget what has not happened yet."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()


async def perform(
    rule: FaultRule | None, request: web.Request, act: Act, *, delayed: Delayed, now: datetime
) -> web.StreamResponse:
    """Answer `request` as `rule` says; None answers plainly. `act` runs at most once.

    `now` (UTC) only dates a Retry-After. Blocks for as long as the rule holds the answer back.
    """
    if rule is None:
        return respond(act(Twist()))
    if rule.fault in _REFUSALS:
        return _refusal(rule, act, now)
    if rule.fault in _CUTS:
        return await _cut(rule, request, act, delayed)
    if rule.fault is FaultKind.SLOW:
        await asyncio.sleep(min(rule.seconds, HOLD_SECONDS_MAX))
    reply = act(_twist(rule))
    if rule.fault is FaultKind.TRUNCATED_JSON:
        reply = msgspec.structs.replace(reply, body=reply.body[: len(reply.body) // 2])
    return respond(reply)


def _twist(rule: FaultRule) -> Twist:
    lagging = rule.fault is FaultKind.LAGGING
    return Twist(
        lag_seconds=rule.seconds if lagging else 0.0,
        error_in_answer=rule.fault is FaultKind.ERROR_IN_ANSWER,
    )


def respond(reply: Reply) -> web.Response:
    """A reply as aiohttp sends it."""
    return web.Response(
        status=reply.status,
        body=reply.body,
        headers={**reply.headers, "Content-Type": reply.content_type},
    )


_REFUSALS = {
    FaultKind.SERVER_ERROR: 500,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.TOO_MANY: 429,
    FaultKind.UNAUTHORISED: 401,
    FaultKind.FORBIDDEN: 403,
    FaultKind.ANSWER: 200,
}
_MAY_COMMIT = {FaultKind.SERVER_ERROR, FaultKind.UNAVAILABLE, FaultKind.ANSWER}
_CUTS = {
    FaultKind.COMMIT_NO_ANSWER,
    FaultKind.COMMIT_LATER,
    FaultKind.RESET_BEFORE,
    FaultKind.RESET_AFTER,
    FaultKind.BROKEN_OFF,
}
_DENIED = b'{"Message":"Authorization has been denied for this request."}'


def _refusal(rule: FaultRule, act: Act, now: datetime) -> web.Response:
    if rule.commit and rule.fault in _MAY_COMMIT:
        act(Twist())
    headers = {}
    if rule.retry_after is RetryAfterForm.SECONDS:
        headers["Retry-After"] = str(rule.retry_after_seconds)
    elif rule.retry_after is RetryAfterForm.HTTP_DATE:
        moment = now + timedelta(seconds=rule.retry_after_seconds)
        headers["Retry-After"] = format_datetime(moment, usegmt=True)
    body, content_type = HTML_ERROR, "text/html; charset=utf-8"
    if rule.fault in (FaultKind.UNAUTHORISED, FaultKind.FORBIDDEN):
        body, content_type = _DENIED, rule.content_type
    if rule.body is not None:
        body, content_type = rule.body.encode(), rule.content_type
    return respond(
        Reply(
            status=rule.status or _REFUSALS[rule.fault],
            body=body,
            content_type=content_type,
            headers=headers,
        )
    )


async def _cut(
    rule: FaultRule, request: web.Request, act: Act, delayed: Delayed
) -> web.StreamResponse:
    if rule.fault is FaultKind.COMMIT_LATER:
        delayed.later(rule.seconds, lambda: act(Twist()))
    elif rule.fault is not FaultKind.RESET_BEFORE:
        reply = act(Twist())
        if rule.fault is FaultKind.BROKEN_OFF:
            return await _half_an_answer(request, reply)
        if rule.fault is FaultKind.COMMIT_NO_ANSWER:
            await _hold(request, rule.seconds)
    reset(request)
    return web.Response(status=500)  # never reaches anybody: the line is gone


async def _hold(request: web.Request, seconds: float) -> None:
    """Keep silent until the client goes, at most `seconds`."""
    left = min(seconds, HOLD_SECONDS_MAX)
    while left > 0 and not gone(request):
        await asyncio.sleep(min(POLL_SECONDS, left))
        left -= POLL_SECONDS


async def _half_an_answer(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(
        status=reply.status, headers={**reply.headers, "Content-Type": reply.content_type}
    )
    response.content_length = max(len(reply.body), 2)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2] or b"[")
    if request.transport is not None:
        request.transport.close()  # after what was written, unlike a reset
    return response


def gone(request: web.Request) -> bool:
    """Whether the client has closed its end."""
    return request.transport is None or request.transport.is_closing()


def reset(request: web.Request) -> None:
    """Cut the line with an RST, so that the client reads a reset and not an end."""
    transport = request.transport
    if transport is None:
        return
    line = transport.get_extra_info("socket")
    if line is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
