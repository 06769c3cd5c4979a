"""The admin side: what a person at dk's own screens would see and do, as JSON under `/_simulator`.

For tests and the demo; no token, loopback only. A wrong request is a 400 with its reason, an
unknown company a 404. Every POST answers `{"done": true, …}`.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from connectors import simulation_faults as faults
from connectors.dkplus.simulator import customers, invoices, products, projects
from connectors.dkplus.simulator.books import Books, Invoice
from connectors.dkplus.simulator.replies import Reply
from connectors.dkplus.simulator.server import Simulator
from connectors.dkplus.simulator.settings import CompanyConfig, changed
from connectors.dkplus.simulator.switches import PRESETS

ADMIN = "/_simulator"
_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")

Body = Mapping[str, Any]
Result = dict[str, Any]


class AdminRefusal(Exception):  # noqa: N818 - it is no error of ours: it ends a request
    """A request of the admin side that cannot be done, with the status and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Admin:
    """The routes of the admin side over one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[web.RouteDef]:
        """What to hang into the application."""
        reads: dict[str, Callable[[web.Request], Any]] = {
            "/books": lambda _: {
                "companies": [self._summary(books) for books in self._simulator.companies.values()]
            },
            "/books/{company}": lambda request: snapshot(self._named(request)),
            "/violations": lambda _: {"violations": self._violations()},
            "/calls": self._calls,
            "/faults": lambda _: {
                "rules": msgspec.to_builtins(self._simulator.plan.rules),
                "met": self._simulator.plan.met,
            },
        }
        gets = [web.get(ADMIN + path, self._get(read)) for path, read in reads.items()]
        whole: dict[str, Callable[[Body], Result]] = {
            "/faults": self._faults,
            "/switches": self._switches,
            "/companies": self._company,
            "/delay": self._delay,
        }
        posts = [web.post(ADMIN + path, self._post(act)) for path, act in whole.items()]
        acts = [
            web.post(f"{ADMIN}/books/{{company}}/{name}", self._post_to(act))
            for name, act in _ACTS.items()
        ]
        acts.append(
            web.post(f"{ADMIN}/books/{{company}}/switches", self._post_to(self._own_switches))
        )
        return [*gets, *posts, *acts]

    # --- how a request is read and answered ---------------------------------------------------

    def _get(self, read: Callable[[web.Request], Any]) -> "Handler":
        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                return _json(read(request))
            except AdminRefusal as refusal:
                return _json({"error": str(refusal)}, refusal.status)

        return handler

    def _post(self, act: Callable[[Body], Result]) -> "Handler":
        async def handler(request: web.Request) -> web.StreamResponse:
            return await _answered(request, act)

        return handler

    def _post_to(self, act: "Act") -> "Handler":
        async def handler(request: web.Request) -> web.StreamResponse:
            def on_books(body: Body) -> Result:
                books = self._named(request)
                result = act(self._simulator, books, body)
                self._simulator.keep(books)
                return result

            return await _answered(request, on_books)

        return handler

    def _named(self, request: web.Request) -> Books:
        books = self._simulator.companies.get(request.match_info["company"])
        if books is None:
            raise AdminRefusal(404, "no such company")
        return books

    # --- reads --------------------------------------------------------------------------------

    @staticmethod
    def _summary(books: Books) -> Result:
        return {
            "company": books.name,
            "customers": len(books.customers),
            "projects": len(books.projects),
            "products": len(books.products),
            "invoices": sum(1 for invoice in books.invoices if invoice.posted),
            "violations": len(books.violations),
        }

    def _violations(self) -> list[Any]:
        return [
            msgspec.to_builtins(violation)
            for books in self._simulator.companies.values()
            for violation in books.violations
        ]

    def _calls(self, request: web.Request) -> Result:
        company, kind = request.query.get("company"), request.query.get("kind")
        calls = [
            call
            for call in self._simulator.calls
            if company in (None, call["company"]) and kind in (None, call["kind"])
        ]
        return {"calls": calls, "unauthorised": dict(self._simulator.unauthorised)}

    # --- writes on the whole simulator --------------------------------------------------------

    def _faults(self, body: Body) -> Result:
        rules = msgspec.convert(body.get("rules", []), tuple[faults.FaultRule, ...], strict=False)
        self._simulator.plan.replace(rules, int(body.get("seed", self._simulator.config.seed)))
        return {"rules": len(rules)}

    def _switches(self, body: Body) -> Result:
        for books in self._simulator.companies.values():
            _switch(books, body)
        return {"companies": len(self._simulator.companies)}

    def _own_switches(self, _: Simulator, books: Books, body: Body) -> Result:
        _switch(books, body)
        return {"switches": msgspec.to_builtins(books.switches)}

    def _company(self, body: Body) -> Result:
        config = msgspec.convert(body, CompanyConfig, strict=False)
        if config.identity in self._simulator.companies:
            raise AdminRefusal(400, "there is such a company already")
        switches = self._simulator.config.switches_of(config)
        return {"company": self._simulator.open(config, switches).name}

    def _delay(self, body: Body) -> Result:
        self._simulator.delay_ms = int(body["delayMs"])
        return {"delayMs": self._simulator.delay_ms}


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Act = Callable[[Simulator, Books, Body], Result]


def snapshot(books: Books) -> Result:
    """The books of one company whole; the token is not in it."""
    return {
        "company": books.name,
        "customers": books.customers,
        "projects": books.projects,
        "products": books.products,
        "salesPersons": books.standing.sales_persons,
        "closedUntil": books.standing.closed_until,
        "invoices": [_invoice(invoice) for invoice in books.invoices],
        "violations": [msgspec.to_builtins(violation) for violation in books.violations],
        "counts": dict(books.counts),
        "switches": msgspec.to_builtins(books.switches),
    }


def _invoice(invoice: Invoice) -> Result:
    return {
        "number": invoice.number,
        "recordId": invoice.record_id,
        "reference": invoice.reference,
        "customer": invoice.customer,
        "posted": invoice.posted,
        "viaApi": invoice.via_api,
        "reversed": invoice.reversed,
        "reversal": invoice.reversal,
        "totalWithTax": invoice.record["TotalAmountWithTax"],
        "record": invoice.record,
    }


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=_ENCODER.encode(value), content_type="application/json")


async def _answered(request: web.Request, act: Callable[[Body], Result]) -> web.Response:
    try:
        body = _DECODER.decode(await request.read() or b"{}")
        return _json({"done": True, **act(body)})
    except AdminRefusal as refusal:
        return _json({"error": str(refusal)}, refusal.status)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError, TypeError) as wrong:
        return _json({"error": str(wrong)}, 400)
    except KeyError as wrong:
        return _json({"error": f"{wrong.args[0]} is wanted"}, 400)


def _switch(books: Books, body: Body) -> None:
    preset = body.get("preset")
    if preset is not None and preset not in PRESETS:
        raise AdminRefusal(400, f"preset must be one of {', '.join(sorted(PRESETS))}")
    base = books.switches if preset is None else PRESETS[preset]()
    books.switches = changed(base, dict(body.get("set", {})))


# --- writes on one company -------------------------------------------------------------------


def _done(reply: Reply) -> Result:
    if reply.status != 200:  # noqa: PLR2004 - the one status of success
        text = reply.body["Message"] if isinstance(reply.body, dict) else "refused"
        raise AdminRefusal(400 if reply.status != 404 else 404, text)  # noqa: PLR2004
    return {"record": reply.body} if isinstance(reply.body, dict) else {}


def _customer(simulator: Simulator, books: Books, body: Body) -> Result:
    number = str(body["Number"])
    if number not in books.customers:
        return _done(customers.create(books, body, simulator.now()))
    return _done(customers.update(books, number, body, simulator.now()))


def _project(simulator: Simulator, books: Books, body: Body) -> Result:
    if body.get("Number") not in books.projects:
        return _done(projects.create_project(books, body, simulator.now()))
    held = {**books.projects[str(body["Number"])], **body}
    books.put("project", str(body["Number"]), held)
    return {"record": held}


def _product(simulator: Simulator, books: Books, body: Body) -> Result:
    code = str(body["ItemCode"])
    if code.lower() not in books.products:
        return _done(products.create_product(books, body, simulator.now()))
    return _done(products.update_product(books, code, body, simulator.now()))


def _foreign_invoice(simulator: Simulator, books: Books, body: Body) -> Result:
    post = bool(body.get("post", True))
    sent = {name: value for name, value in body.items() if name != "post"}
    return _done(invoices.create(books, sent, simulator.now(), post=post, via_api=False))


def _reverse(simulator: Simulator, books: Books, body: Body) -> Result:
    number = str(body["number"])
    return _done(invoices.reverse(books, number, {}, simulator.now(), via_api=False))


def _remove(_: Simulator, books: Books, body: Body) -> Result:
    kind, key = str(body["kind"]), str(body["key"])
    if kind not in ("customer", "project", "product") or key not in books.shelf(kind):
        raise AdminRefusal(404, "no such record")
    books.take_away(kind, key)
    return {}


def _standing(books: Books, **members: Any) -> Result:
    books.stands(msgspec.structs.replace(books.standing, **members))
    return {}


def _sales_persons(_: Simulator, books: Books, body: Body) -> Result:
    persons = dict.fromkeys(map(str, body["salesPersons"]))
    return _standing(books, sales_persons={code: code for code in persons})


def _closed(_: Simulator, books: Books, body: Body) -> Result:
    return _standing(books, closed_until=body["until"])


def _token(_: Simulator, books: Books, body: Body) -> Result:
    token = body.get("token", books.standing.token)
    return _standing(books, token=str(token), token_revoked=bool(body.get("revoked", False)))


def _series(_: Simulator, books: Books, body: Body) -> Result:
    books.series.next_number = int(body["nextNumber"])
    books.keep_series()
    return {"nextNumber": books.series.next_number}


def _forgive(_: Simulator, books: Books, _body: Body) -> Result:
    return {"forgiven": books.forgive()}


_ACTS: Mapping[str, Act] = {
    "customers": _customer,
    "projects": _project,
    "products": _product,
    "invoices": _foreign_invoice,
    "reverse": _reverse,
    "remove": _remove,
    "sales-persons": _sales_persons,
    "closed-period": _closed,
    "token": _token,
    "series": _series,
    "forgive": _forgive,
}
