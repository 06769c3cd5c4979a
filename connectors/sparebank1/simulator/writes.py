"""The writes of the contract, each as a function of a writer, the call and its body.

Contract sparebank1-regnskap 2.1, 3, 4.2, 4.5, 4.6.
"""

from collections.abc import Callable
from typing import Any

from connectors.sparebank1.simulator import booking, parties
from connectors.sparebank1.simulator.answers import Refusal
from connectors.sparebank1.simulator.books import Row
from connectors.sparebank1.simulator.calls import ACTIONS, Call
from connectors.sparebank1.simulator.judge import judge_voucher
from connectors.sparebank1.simulator.switches import ExternalReference
from connectors.sparebank1.simulator.writing import Writer

Handler = Callable[[Writer, Call, Any], object]


def _create_customer(writer: Writer, _call: Call, body: Row) -> Row:
    return parties.create_customer(writer, body)


def _create_project(writer: Writer, _call: Call, body: Row) -> Row:
    return parties.create_project(writer, body)


def _update_customer(writer: Writer, call: Call, body: Row) -> Row:
    return parties.update_customer(*_for_put(writer, call, body, "Customer"), body)


def _update_project(writer: Writer, call: Call, body: Row) -> Row:
    return parties.update_project(*_for_put(writer, call, body, "Project"), body)


def _for_put(writer: Writer, call: Call, body: Row, name: str) -> tuple[Writer, Row]:
    if body.get("ID") not in (None, call.row_id):
        raise Refusal("ID in body and path differ", name, "ID")
    writer.updating = True
    return writer, parties.row_or_refusal(writer.books, name, call.row_id)


def _customer_action(writer: Writer, call: Call, _body: object) -> Row:
    text = next((v for k, v in call.query.items() if k.lower() == "id"), "")
    row_id = int(text) if text.isdecimal() else None
    row = parties.row_or_refusal(writer.books, "Customer", row_id)
    state = parties.CUSTOMER_ACTIONS[call.action.lower()]
    return writer.books.change("Customer", row, {"StatusCode": state}, writer.now)


def _project_action(writer: Writer, call: Call, _body: object) -> Row:
    row = parties.row_or_refusal(writer.books, "Project", call.row_id)
    known = ACTIONS["POST", "projects", True]
    action = next(a for a in known if a.lower() == call.action.lower())
    return parties.move_project(writer, row, action)


def _book(writer: Writer, call: Call, body: list[Any]) -> list[Row]:
    over = next((v for k, v in call.query.items() if k.lower() == _REGARDLESS), None)
    if over is not None:
        writer.note("locked-dates-overruled", over)
    if not all(isinstance(entry, dict) for entry in body):
        raise Refusal("Error converting value", "JournalEntry", "DraftLines")
    entries = [booking.book(writer, e, regardless=over == "true") for e in body]
    for entry in entries:
        judge_voucher(writer.books, entry, writer.note)
    return entries


_REGARDLESS = "allowjournalingregardlessoflockeddates"


def _credit(writer: Writer, call: Call, _body: object) -> Row:
    number = call.query.get("journalEntryNumber", "")
    writer.note("credit-by-platform", number)
    return booking.credit(writer, number, call.query.get("creditDate"), "api")


def _next_number(writer: Writer, _call: Call, body: Row) -> str:
    year = int(str(body.get("FinancialDate") or writer.now.date().isoformat())[:4])
    return booking.next_number(writer, year)


def _set_reference(writer: Writer, call: Call, _body: object) -> Row:
    text = call.query.get("journalEntryID", "")
    row_id = int(text) if text.isdecimal() else None
    row = parties.row_or_refusal(writer.books, "JournalEntry", row_id)
    if writer.switches.external_reference is ExternalReference.DROPPED:
        return row
    values = {"ExternalReference": call.query.get("externalReference")}
    return writer.books.change("JournalEntry", row, values, writer.now)


HANDLERS: dict[str, Handler] = {
    "customer.create": _create_customer,
    "customer.update": _update_customer,
    "customer.activate": _customer_action,
    "customer.deactivate": _customer_action,
    "customer.block": _customer_action,
    "project.create": _create_project,
    "project.update": _update_project,
    **{f"project.{action}": _project_action for action in parties.PROJECT_ACTIONS},
    "voucher.book": _book,
    "voucher.credit": _credit,
    "voucher.nextjournalentrynumber": _next_number,
    "voucher.update-external-reference": _set_reference,
}
# What the body of each must be; the others take none.
BODY_KINDS: dict[str, type] = {
    "customer.create": dict,
    "customer.update": dict,
    "project.create": dict,
    "project.update": dict,
    "voucher.book": list,
    "voucher.nextjournalentrynumber": dict,
}
