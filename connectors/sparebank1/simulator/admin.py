"""The side door, `/_simulator/…`: for tests and the demo, from this machine only.

It shows the books and does what people, auditors and the vendor do to them: lock a period, mend an
account, book by hand, credit a voucher, delete a customer, switch a company off.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from connectors.simulation_faults import FaultRule, Reply, respond
from connectors.sparebank1.simulator import booking, parties, plan, report
from connectors.sparebank1.simulator.answers import Refusal, decode, json_reply
from connectors.sparebank1.simulator.books import Books, Row
from connectors.sparebank1.simulator.model import CUSTOMER_DELETED, ENTITIES
from connectors.sparebank1.simulator.shell import Server
from connectors.sparebank1.simulator.switches import Switches
from connectors.sparebank1.simulator.writing import Writer

_LOOPBACK = frozenset({"127.0.0.1", "::1"})
Deed = Callable[[Server, Books, Any], object]


def add_routes(app: web.Application, server: Server) -> None:
    """Serve the side door of `server`."""
    reads: dict[str, Callable[[web.Request], object]] = {
        "/_simulator/violations": lambda _: server.simulator.judge.violations,
        "/_simulator/requests": lambda _: list(server.log),
        "/_simulator/switches": lambda _: server.simulator.switches,
        "/_simulator/faults": lambda _: _faults(server),
        "/_simulator/companies/{company}": lambda r: report.of_books(
            server.simulator, _books(server, r)
        ),
    }
    for path, read in reads.items():
        app.router.add_get(path, _guarded(_reading(read)))
    for path, change in _CHANGES.items():
        app.router.add_post(path, _guarded(_changing(server, change)))
    for name, deed in DEEDS.items():
        path = f"/_simulator/companies/{{company}}/{name}"
        app.router.add_post(path, _guarded(_doing(server, deed)))


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _guarded(handler: Callable[[web.Request], Awaitable[Reply]]) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.remote not in _LOOPBACK:
            raise web.HTTPForbidden
        try:
            return respond(await handler(request))
        except (Refusal, msgspec.MsgspecError, KeyError, ValueError) as error:
            return respond(json_reply({"error": f"{type(error).__name__}: {error}"}, 400))

    return guarded


def _reading(read: Callable[[web.Request], object]) -> Callable[[web.Request], Awaitable[Reply]]:
    async def handle(request: web.Request) -> Reply:
        return json_reply(read(request))

    return handle


def _changing(
    server: Server, change: Callable[[Server, Any], object]
) -> Callable[[web.Request], Awaitable[Reply]]:
    async def handle(request: web.Request) -> Reply:
        return json_reply(change(server, await _body(request)))

    return handle


def _doing(server: Server, deed: Deed) -> Callable[[web.Request], Awaitable[Reply]]:
    async def handle(request: web.Request) -> Reply:
        books = _books(server, request)
        body = await _body(request)
        with books.transaction():
            result = deed(server, books, body)
        server.keep()
        return json_reply(report.plain(result))

    return handle


async def _body(request: web.Request) -> Any:
    sent = await request.read()
    return decode(sent) if sent else {}


def _books(server: Server, request: web.Request) -> Books:
    return server.simulator.books[request.match_info["company"].lower()]


# --- the whole simulator -----------------------------------------------------------------------


def _set_switches(server: Server, body: Any) -> Switches:
    """`{"hostile": true}` for the preset; else single switches, the others stay."""
    if body.pop("hostile", False):
        server.simulator.switches = Switches.hostile()
    merged = msgspec.to_builtins(server.simulator.switches) | body
    server.simulator.switches = msgspec.convert(_floats(merged), Switches)
    return server.simulator.switches


def _set_faults(server: Server, body: Any) -> object:
    """`{"rules": […], "seed": 7}` in place of what was; counts begin anew."""
    rules = msgspec.convert(_floats(body.get("rules", [])), list[FaultRule])
    server.faults.replace(rules, body.get("seed", server.config.seed))
    return _faults(server)


def _faults(server: Server) -> list[dict[str, Any]]:
    rules = zip(server.faults.rules, server.faults.met, strict=True)
    return [msgspec.to_builtins(rule) | {"met": met} for rule, met in rules]


def _floats(value: Any) -> Any:
    """Decimals as floats, where chances and seconds are meant and never money."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _floats(item) for name, item in value.items()}
    return [_floats(item) for item in value] if isinstance(value, list) else value


def _revoke(server: Server, body: Any) -> dict[str, int]:
    return {"revoked": server.simulator.identity.revoke(body.get("client_id"))}


_CHANGES: dict[str, Callable[[Server, Any], object]] = {
    "/_simulator/switches": _set_switches,
    "/_simulator/faults": _set_faults,
    "/_simulator/tokens/revoke": _revoke,
}


# --- one company -------------------------------------------------------------------------------


def _by_hand(server: Server, books: Books) -> Writer:
    return server.simulator.writer(books, server.clock(), lambda _kind, _text: None)


def _set_active(_server: Server, books: Books, body: Any) -> Row:
    books.active = bool(body["active"])
    return {"active": books.active}


def _set_locks(_server: Server, books: Books, body: Any) -> Row:
    fields = ("AccountingLockedDate", "VatLockedDate")
    values = {name: body[name] for name in fields if name in body}
    return books.change("CompanySettings", books.table("CompanySettings").rows[1], values)


def _mend_account(server: Server, books: Books, body: Any) -> Row:
    return plan.mend_account(books, body, server.clock())


def _mend_vat_type(server: Server, books: Books, body: Any) -> Row:
    return plan.mend_vat_type(books, body, server.clock())


def _add_customer(server: Server, books: Books, body: Any) -> Row:
    made_by = body.pop("madeBy", "person")
    return parties.create_customer(_by_hand(server, books), body, made_by)


def _add_project(server: Server, books: Books, body: Any) -> Row:
    made_by = body.pop("madeBy", "person")
    return parties.create_project(_by_hand(server, books), body, made_by)


def _add_voucher(server: Server, books: Books, body: Any) -> Row:
    """Printed numbers in, a voucher out; the customer line balances the others."""
    total = sum((Decimal(line["amount"]) for line in body["lines"]), Decimal(0))
    common = {"FinancialDate": body["date"], "InvoiceNumber": body.get("invoiceNumber")}
    common |= {"JournalEntryTypeID": body.get("type"), "Description": body.get("description")}
    drafts = [
        {"AccountID": _account_id(books, line["account"]), "Amount": Decimal(line["amount"])}
        | ({"VatTypeID": plan.vat_type(books, line["vatCode"])["ID"]} if "vatCode" in line else {})
        | common
        for line in body["lines"]
    ]
    if body.get("customerNumber"):
        customer_line = {"AccountID": _account_id(books, body["customerNumber"]), "Amount": -total}
        drafts.insert(0, customer_line | common)
    entry = {
        name: body[name] for name in ("ExternalReference", "JournalEntryNumber") if name in body
    }
    entry |= {"Description": body.get("description"), "DraftLines": drafts}
    made_by = body.get("madeBy", "person")
    return booking.book(_by_hand(server, books), entry, made_by, regardless=True)


def _account_id(books: Books, number: int) -> int:
    row = plan.account(books, number)
    if row is None:
        raise KeyError(f"no account {number}")
    return int(row["ID"])


def _credit(server: Server, books: Books, body: Any) -> Row:
    writer = _by_hand(server, books)
    return booking.credit(writer, body["journalEntryNumber"], body.get("creditDate"), "person")


def _delete_customer(server: Server, books: Books, body: Any) -> Row:
    """Soft: it stays in lists as deleted. `{"hard": true}`: as if it had never been."""
    found = books.table("Customer").where("CustomerNumber", body["customerNumber"])
    row = found[0] if found else {}
    if body.get("hard"):
        for sub in books.table("Account").where("CustomerID", row["ID"]):
            books.remove("Account", sub)
        books.remove("Customer", row)
        return row
    values = {"Deleted": True, "StatusCode": CUSTOMER_DELETED}
    return books.change(ENTITIES["Customer"].name, row, values, server.clock())


DEEDS: dict[str, Deed] = {
    "active": _set_active,
    "locks": _set_locks,
    "accounts": _mend_account,
    "vattypes": _mend_vat_type,
    "customers": _add_customer,
    "projects": _add_project,
    "vouchers": _add_voucher,
    "credit": _credit,
    "customers/delete": _delete_customer,
}
