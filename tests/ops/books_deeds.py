"""What people, and faults, do to the books of a world, so that they are wrong on purpose."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from connectors.dkplus.simulator import invoices
from connectors.dkplus.simulator.books import Invoice as DkInvoice
from tests.contracts.dkplus_world import DkPlusWorld
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import World
from tests.ops.books_stage import Stage


def numbers(world: World) -> tuple[str, str, str]:
    """An invoice's number, that of its credit note, and one between them and the last."""
    return (
        ("10457", "10458", "10459") if isinstance(world, DkPlusWorld) else ("1001", "1002", "1003")
    )


async def filled(stage: Stage) -> None:
    """A customer, a project, an invoice of several lines, its credit note, one more invoice."""
    world = stage.world
    project = world.project()
    third = numbers(world)[2]
    await stage.carry(
        world.customer(),
        project,
        world.invoice(
            world.line("10000.10" if isinstance(world, Sparebank1World) else "10000"),
            world.line("333.33" if isinstance(world, Sparebank1World) else "333"),
            project_number=project.number,
        ),
        world.credit_note(),
        world.invoice(number=third, invoice_date=date(2026, 5, 2), due_date=date(2026, 5, 30)),
    )


def voucher(world: Sparebank1World, number: str) -> dict[str, Any]:
    """The voucher whose lines carry an invoice number."""
    books = world.raw()
    line = books.table("JournalEntryLine").where("InvoiceNumber", number)[0]
    entry = books.row("JournalEntry", line["JournalEntryID"])
    assert entry is not None
    return entry


def remove(world: World, number: str) -> None:
    """As if it had never been booked."""
    if isinstance(world, Sparebank1World):
        entry = voucher(world, number)
        for name in ("JournalEntryLine", "JournalEntryLineDraft"):
            for row in world.raw().table(name).where("JournalEntryID", entry["ID"]):
                world.raw().remove(name, row)
        world.raw().remove("JournalEntry", entry)
        return
    assert isinstance(world, DkPlusWorld)
    books = world.raw()
    (gone,) = books.sent_as(number)
    books.invoices.remove(gone)
    books.sent_as(number).clear()
    books.kept_as(number).clear()


def book_again(world: World, number: str, customer: str | None = None) -> None:
    """A person enters an invoice of this number by hand."""
    if isinstance(world, Sparebank1World):
        lines = [{"account": 3000, "amount": "-12500.13", "vatCode": "3"}]
        body = {"date": "2026-03-10", "invoiceNumber": number, "type": 8, "lines": lines}
        world.deed("vouchers", body | {"customerNumber": int(customer or "100042")})
        return
    assert isinstance(world, DkPlusWorld)
    line = {"ItemCode": "raðgjof", "Text": "Ráðgjöf", "Quantity": 1, "Price": Decimal(10333)}
    body = {
        "Customer": {"Number": customer or "7112992030", "SSN": "7112992030"},
        "Reference": number,
        "SalesPerson": "web",
        "Currency": "ISK",
        "Date": "2026-03-31T00:00:00Z",
        "Lines": [line],
    }
    reply = invoices.create(world.raw(), body, world.clock.now(), post=True, via_api=False)
    assert reply.status == 200, reply
    world.clock.advance(10.0)


def change_amount(world: World, number: str) -> None:
    if isinstance(world, Sparebank1World):
        entry = voucher(world, number)
        for line in world.raw().table("JournalEntryLine").where("JournalEntryID", entry["ID"]):
            if line["SubAccountID"]:
                more = {name: line[name] + Decimal("0.01") for name in ("Amount", "AmountCurrency")}
                world.raw().change("JournalEntryLine", line, more)
        return
    assert isinstance(world, DkPlusWorld)
    names = ("TotalAmount", "TotalAmountWithTax")
    booked = invoice(world, number)
    booked.record = {**booked.record, **{name: booked.record[name] + 9 for name in names}}


def invoice(world: DkPlusWorld, number: str) -> DkInvoice:
    return world.raw().sent_as(number)[0]


def swap_customer(world: World, number: str) -> None:
    if isinstance(world, Sparebank1World):
        world.have_customer("100099")
        (other,) = world.raw().table("Account").where("AccountNumber", 100099)
        entry = voucher(world, number)
        for line in world.raw().table("JournalEntryLine").where("JournalEntryID", entry["ID"]):
            if line["SubAccountID"]:
                world.raw().change("JournalEntryLine", line, {"SubAccountID": other["ID"]})
        return
    assert isinstance(world, DkPlusWorld)
    booked = invoice(world, number)
    booked.record = {**booked.record, "CNumber": "3112992040"}


def foreign(world: DkPlusWorld, n: int) -> DkInvoice:
    """Somebody else's invoice, older than all of ours."""
    pattern = invoice(world, "10457")
    record = {**pattern.record, "Number": str(n), "RecordID": n, "Reference": f"PO{n}"}
    return msgspec.structs.replace(
        pattern, number=str(n), record_id=n, reference=f"PO{n}", record=record
    )
