"""The simulated platform: one call in, one answer out. Synchronous, no I/O, one call at a time.

Contract sparebank1-regnskap 1.3 to 6.2. Books are changed within one transaction per write, so that
a refused write leaves nothing behind, not even a used `_createguid`.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from connectors.simulation_faults import Reply, Twist
from connectors.sparebank1.simulator import statistics
from connectors.sparebank1.simulator.answers import (
    DENIED,
    Refusal,
    decode,
    json_reply,
    refusal_reply,
)
from connectors.sparebank1.simulator.books import Books, seen
from connectors.sparebank1.simulator.calls import NOUNS, OPEN_KINDS, WRITES, Call
from connectors.sparebank1.simulator.identity import Identity
from connectors.sparebank1.simulator.judge import Judge, judge_call
from connectors.sparebank1.simulator.model import ENTITIES, ROUTES
from connectors.sparebank1.simulator.plan import set_up
from connectors.sparebank1.simulator.settings import ClientConfig, CompanyConfig, SimulatorConfig
from connectors.sparebank1.simulator.views import View
from connectors.sparebank1.simulator.writes import BODY_KINDS, HANDLERS
from connectors.sparebank1.simulator.writing import Writer


class Simulator:
    """All companies of one simulated platform and its identity server."""

    def __init__(self, config: SimulatorConfig, now: datetime) -> None:
        self.config = config
        self.switches = config.answers
        self.judge = Judge()
        self.identity = Identity(config.clients, config.token_seconds)
        self.counts: Counter[tuple[str, str]] = Counter()  # (company key, kind)
        self.companies: dict[str, CompanyConfig] = {}
        self.books: dict[str, Books] = {}
        self._refusals = 0
        for index, company in enumerate(config.companies):
            books = Books(company.key.lower(), index)
            books.active = company.active
            set_up(books, company, now)
            self.companies[books.key] = company
            self.books[books.key] = books

    def answer(self, call: Call, now: datetime, twist: Twist | None = None) -> Reply:
        """Do what the call asks and say what came of it."""
        twist = twist or Twist()
        self.counts[call.company, call.kind] += 1
        note = self.noting(call.company, now)
        judge_call(call, note)
        if call.kind in OPEN_KINDS:
            return self._open(call, now)
        client = self.identity.client_of(call.headers.get("authorization", ""), now)
        if client is None:
            return json_reply(DENIED, 401)
        if call.kind == "companies":
            return json_reply(self._companies(client))
        if call.kind == "unknown":
            return self._unknown()
        books = self.books.get(call.company)
        if books is None or not books.active or not _may(client, books.key):
            return json_reply(DENIED, self.switches.company_refusal_status)
        if call.kind == "statistics" or call.method not in WRITES:
            view = self.view(books, now.timestamp() - twist.lag_seconds, note)
            return self._read(call, view, twist)
        return self._write(call, books, now, note)

    def noting(self, company: str, now: datetime) -> Callable[[str, str], None]:
        """The judge's ear for one call."""
        return lambda kind, text: self.judge.note(now, company, kind, text)

    def view(self, books: Books, horizon: float, note: Callable[[str, str], None]) -> View:
        """The books as they were seen at `horizon`, seconds since the epoch."""
        return View(books=books, switches=self.switches, horizon=horizon, note=note)

    def writer(self, books: Books, now: datetime, note: Callable[[str, str], None]) -> Writer:
        """A writer for one request; use it within `books.transaction()`."""
        return Writer(books=books, switches=self.switches, now=now, note=note)

    # --- without a company --------------------------------------------------------------------

    def _open(self, call: Call, now: datetime) -> Reply:
        identity = (self.config.identity_url or call.origin).rstrip("/")
        if call.kind == "token":
            return self.identity.token(call.body, f"{identity}/connect/token", now)
        if call.kind == "discovery":
            answer = {"issuer": identity, "token_endpoint": f"{identity}/connect/token"}
            return json_reply(answer | {"grant_types_supported": ["client_credentials"]})
        names = ("AppFramework", "Files", "Job", "Integration", "License")
        return json_reply({"Identity": identity} | dict.fromkeys(names, call.origin))

    def _companies(self, client: ClientConfig) -> list[dict[str, Any]]:
        return [
            {
                "ID": 4711 + index,
                "Key": company.key,
                "Name": company.name,
                "OrganizationNumber": company.organisation_number,
                "IsTest": False,
            }
            for index, (key, company) in enumerate(self.companies.items())
            if self.books[key].active and _may(client, key)
        ]

    def _unknown(self) -> Reply:
        if self.switches.unknown_path_status == 401:  # noqa: PLR2004 - one of the switch's two
            return json_reply(DENIED, 401)
        return json_reply({"Message": "No HTTP resource was found"}, 404)

    # --- reads --------------------------------------------------------------------------------

    def _read(self, call: Call, view: View, twist: Twist) -> Reply:
        if call.kind == "statistics":
            return statistics.answer(view, call.query, fail=twist.error_in_answer)
        entity = ROUTES[call.route]
        if call.row_id is None:
            return json_reply(view.listed(entity, call.query))
        row = view.books.row(entity.name, call.row_id)
        if row is None or not seen(row, view.horizon):
            return json_reply({"Message": f"{entity.name} {call.row_id} not found"}, 404)
        tree = view.expand(entity, call.query.get("expand", ""))
        return json_reply(view.show(entity, row, tree))

    # --- writes -------------------------------------------------------------------------------

    def _write(
        self, call: Call, books: Books, now: datetime, note: Callable[[str, str], None]
    ) -> Reply:
        handler = HANDLERS.get(call.kind)
        if handler is None:
            note("write-outside-contract", f"{call.method} {call.path} {call.action}")
            return json_reply({"Message": "Forbidden"}, 403)
        body: Any = None
        if call.kind in BODY_KINDS:
            try:
                body = decode(call.body)
            except msgspec.DecodeError as error:
                note("body-unreadable", f"{call.kind}: {error}")
                return json_reply({"Message": "The request is invalid."}, 400)
            if not isinstance(body, BODY_KINDS[call.kind]):
                note("body-unreadable", f"{call.kind}: {type(body).__name__}")
                return json_reply({"Message": "The request is invalid."}, 400)
        entity = ROUTES[call.route]
        if call.row_id is not None and books.row(entity.name, call.row_id) is None:
            return json_reply({"Message": f"{entity.name} {call.row_id} not found"}, 404)
        try:
            with books.transaction():
                result = handler(self.writer(books, now, note), call, body)
        except Refusal as refusal:
            self._refusals += 1
            return refusal_reply(refusal, self.switches.error_shape, self._refusals, body)
        return self._written(call, books, now, result)

    def _written(self, call: Call, books: Books, now: datetime, result: object) -> Reply:
        view = self.view(books, now.timestamp(), lambda _kind, _text: None)
        noun = call.kind.partition(".")[0]
        if noun == "project" and call.row_id is not None and call.action:
            if self.switches.transition_status == 204:  # noqa: PLR2004 - one of the switch's two
                return Reply(status=204)
            return json_reply(None, 200)
        if isinstance(result, str):
            return json_reply(result)
        entity = ROUTES[call.route]
        if isinstance(result, list):
            return json_reply([view.show(entity, row, {}) for row in result])
        created = call.kind.endswith(".create")
        status = self.switches.created_status if created else 200
        return json_reply(self._echo(view, noun, result), status)

    def _echo(self, view: View, noun: str, row: Any) -> dict[str, Any]:
        entity = next(e for e in ENTITIES.values() if e.route and NOUNS[e.route] == noun)
        tree = {}
        if self.switches.echo_nested and noun == "customer":
            paths = ("DefaultEmail", "DefaultPhone", "InvoiceAddress", "ShippingAddress", "Phones")
            tree = view.expand(entity, ",".join(f"Info.{path}" for path in paths))
        return view.show(entity, row, tree)


def _may(client: ClientConfig, key: str) -> bool:
    return client.companies is None or key in {c.lower() for c in client.companies}
