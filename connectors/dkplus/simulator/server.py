"""The simulator as a server: tokens, faults, limits, and the answer as it goes over the wire.

One process serves several companies; a token belongs to one of them (contract dkplus A1).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from connectors import simulation_faults as faults
from connectors.dkplus.simulator import judge, look_ups, products, replies, routes
from connectors.dkplus.simulator.books import Books
from connectors.dkplus.simulator.keeping import Keeper
from connectors.dkplus.simulator.pricing import as_double
from connectors.dkplus.simulator.replies import NO_BODY, Reply
from connectors.dkplus.simulator.settings import CompanyConfig, SimulatorConfig
from connectors.dkplus.simulator.switches import RetryAfter, Switches

API = "/api/v1"
CALLS_KEPT = 20_000  # the last calls, for tests that ask about order; a demo makes some thousands
BODY_BYTES_MAX = 16 * 1024 * 1024  # an invoice of 10 000 lines is about 2 MB
_MILLISECONDS = 1000
_SECOND = timedelta(seconds=1)
_TOO_MANY = 429

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")

# what a fault leaves a client knowing of its own write
_NOTHING_DONE = {
    faults.FaultKind.TOO_MANY,
    faults.FaultKind.UNAUTHORISED,
    faults.FaultKind.FORBIDDEN,
}
_PLAIN = {faults.FaultKind.SLOW, faults.FaultKind.LAGGING}


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request on its way: what it is, whose, and the fault that meets it."""

    books: Books
    seen: judge.Seen
    matched: routes.Match | Reply
    path: str
    rule: faults.FaultRule | None


class Simulator:
    """dkPlus for several companies. `now` is the wall clock, in UTC."""

    def __init__(self, config: SimulatorConfig, *, now: Callable[[], datetime]) -> None:
        self.config = config
        self.now = now
        self.plan = faults.FaultPlan(config.faults, config.seed)
        self.delayed = faults.Delayed()
        self.delay_ms = config.delay_ms
        self.calls: deque[dict[str, Any]] = deque(maxlen=CALLS_KEPT)
        self.unauthorised: Counter[str] = Counter()
        self._keeper = Keeper(Path(config.state_path)) if config.state_path else None
        self._recent: dict[str, deque[datetime]] = {}
        self.companies: dict[str, Books] = {}
        for company in config.companies:
            self.open(company, config.switches_of(company))

    def open(self, company: CompanyConfig, switches: Switches) -> Books:
        """Take a company in, with its products, or with what the file on disk has of it."""
        now = self.now()
        books = Books(company, switches, now)
        for product in company.products:
            products.create_product(
                books,
                {
                    "ItemCode": product.item_code,
                    "Description": product.description,
                    "TaxPercent": product.tax_percent,
                    "UnitPrice1": product.unit_price,
                    "AllowDiscount": product.allow_discount,
                },
                now,
            )
        self.companies[books.name] = books
        if self._keeper is None or not self._keeper.restore(books):
            self.keep(books)
        return books

    def keep(self, books: Books) -> None:
        """Bring what has changed to disk, where the books are kept there."""
        if self._keeper is None:
            books.taken_changes()
        else:
            self._keeper.keep(books)

    def books_of(self, authorization: str) -> Books | None:
        """The books that an Authorization header opens now, None where it opens none."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        for books in self.companies.values():
            standing = books.standing
            if standing.token.lower() == token.strip().lower():
                return None if standing.token_revoked or self._expired(books) else books
        return None

    def _expired(self, books: Books) -> bool:
        life = books.switches.token_life_seconds
        return bool(life) and self.now() - books.started > timedelta(seconds=life)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request below the API."""
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / _MILLISECONDS)
        path = unquote(request.rel_url.raw_path)
        if not path.lower().startswith(API):
            return faults.respond(_wire(replies.no_route(path), tail=False))
        books = self.books_of(request.headers.get("Authorization", ""))
        if books is None:
            self.unauthorised[path] += 1
            return faults.respond(_wire(replies.UNAUTHORISED, tail=False))
        exchange = self._exchange(request, await request.read(), books, path)
        self._count(books, exchange)
        limited = self._limit(books)
        turned_away = limited is not None or _nothing_done(exchange.rule)
        judge.judge_request(books, exchange.seen, self.now(), acted=not turned_away)
        if limited is not None:
            return self._close(exchange, faults.respond(_wire(limited, tail=False)))
        return await self._perform(exchange, request)

    def _exchange(self, request: web.Request, raw: bytes, books: Books, path: str) -> Exchange:
        matched = routes.match(request.method, path[len(API) :])
        kind = matched.route.kind if isinstance(matched, routes.Match) else ""
        sighting = faults.Sighting(method=request.method, path=path, company=books.name, kind=kind)
        seen = judge.Seen(
            method=request.method,
            path=path,
            kind=kind,
            params=matched.params if isinstance(matched, routes.Match) else {},
            query={name.lower(): value for name, value in request.query.items()},
            body=_object(raw),
        )
        rule = self.plan.decide(sighting)
        return Exchange(books=books, seen=seen, matched=matched, path=path, rule=rule)

    def _count(self, books: Books, exchange: Exchange) -> None:
        books.counts[exchange.seen.kind or "unknown"] += 1

    def _limit(self, books: Books) -> Reply | None:
        allowed = books.switches.calls_per_second
        if not allowed:
            return None
        now, recent = self.now(), self._recent.setdefault(books.name, deque())
        while recent and now - recent[0] > _SECOND:
            recent.popleft()
        if len(recent) < allowed:
            recent.append(now)
            return None
        return replies.refused("Too many requests", _TOO_MANY).with_headers(
            _retry_after(books.switches, now)
        )

    async def _perform(self, exchange: Exchange, request: web.Request) -> web.StreamResponse:
        books, reference = exchange.books, _posted_reference(exchange.seen)
        if reference is not None and _proves_nothing(exchange.rule):
            judge.judge_post_answer(books, reference, proves=False)
        response = await faults.perform(
            exchange.rule,
            request,
            lambda twist: self._act(exchange, twist),
            delayed=self.delayed,
            now=self.now(),
        )
        arrived = _is_plain(exchange.rule) and not faults.gone(request)
        if reference is not None and _is_plain(exchange.rule):
            judge.judge_post_answer(books, reference, proves=arrived)
        looked_up = _looked_up_reference(exchange.seen)
        if looked_up is not None and arrived and response.status in (200, 404):
            judge.judge_look_up(books, looked_up)
        return self._close(exchange, response)

    def _act(self, exchange: Exchange, twist: faults.Twist) -> faults.Reply:
        books, now = exchange.books, self.now()
        reply = self._reply(exchange, now, twist)
        self.keep(books)
        return _wire(reply, tail=books.switches.binary_tails)

    def _reply(self, exchange: Exchange, now: datetime, twist: faults.Twist) -> Reply:
        matched, books = exchange.matched, exchange.books
        if isinstance(matched, Reply):
            return matched
        if matched.route.kind in books.switches.forbidden:
            return replies.refused("You do not have permission to do this.", 403)
        if exchange.seen.body is None:
            return replies.invalid({"value": ["An error has occurred."]})
        before = len(books.invoices)
        reply = matched.route.rule(
            routes.Call(
                books=books,
                params=matched.params,
                query=exchange.seen.query,
                body=exchange.seen.body,
                url=routes.page_url(matched.route, exchange.path),
                now=now,
                seen_at=look_ups.lagging(now, twist.lag_seconds),
            )
        )
        for invoice in books.invoices[before:]:
            judge.judge_booking(books, invoice, now)
        return reply

    def _close(self, exchange: Exchange, response: web.StreamResponse) -> web.StreamResponse:
        rule = exchange.rule
        self.calls.append(
            {
                "at": self.now().isoformat(timespec="milliseconds"),
                "company": exchange.books.name,
                "method": exchange.seen.method,
                "path": exchange.path,
                "kind": exchange.seen.kind,
                "status": response.status,
                "fault": rule.fault.value if rule else None,
            }
        )
        self.keep(exchange.books)
        return response


def _object(raw: bytes) -> Mapping[str, Any] | None:
    if not raw.strip():
        return {}
    try:
        body = _DECODER.decode(raw)
    except msgspec.DecodeError:
        return None
    return body if isinstance(body, dict) else None


def _retry_after(switches: Switches, now: datetime) -> dict[str, str]:
    if switches.rate_limit_retry_after is RetryAfter.SECONDS:
        return {"Retry-After": str(switches.rate_limit_seconds)}
    if switches.rate_limit_retry_after is RetryAfter.DATE:
        moment = now + timedelta(seconds=switches.rate_limit_seconds)
        return {"Retry-After": format_datetime(moment, usegmt=True)}
    return {}


def _wire(reply: Reply, *, tail: bool) -> faults.Reply:
    body = b"" if reply.body is NO_BODY else _ENCODER.encode(_doubles(reply.body, tail=tail))
    return faults.Reply(status=reply.status, body=body, headers=dict(reply.headers))


def _doubles(value: Any, *, tail: bool) -> Any:
    if isinstance(value, Decimal):
        return as_double(value, tail=tail)
    if isinstance(value, dict):
        return {name: _doubles(inner, tail=tail) for name, inner in value.items()}
    if isinstance(value, list):
        return [_doubles(inner, tail=tail) for inner in value]
    return value


def _posted_reference(seen: judge.Seen) -> str | None:
    if seen.kind != "invoice.create" or seen.body is None:
        return None
    reference = seen.body.get("Reference")
    return reference if isinstance(reference, str) else None


def _looked_up_reference(seen: judge.Seen) -> str | None:
    if seen.kind == "invoice.by-reference":
        return seen.params["reference"]
    return seen.query.get("reference") if seen.kind == "invoice.page" else None


def _is_plain(rule: faults.FaultRule | None) -> bool:
    return rule is None or rule.fault in _PLAIN


def _nothing_done(rule: faults.FaultRule | None) -> bool:
    if rule is None:
        return False
    refusal = rule.fault is faults.FaultKind.ANSWER and 400 <= rule.status < 500  # noqa: PLR2004
    return rule.fault in _NOTHING_DONE or refusal


def _proves_nothing(rule: faults.FaultRule | None) -> bool:
    return not _is_plain(rule) and not _nothing_done(rule)
