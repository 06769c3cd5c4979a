"""Books that are made wrong on purpose, in both systems, and what `verify` says of them."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.dkplus.simulator import customers, invoices
from connectors.dkplus.simulator.books import Invoice as DkInvoice
from connectors.simulation_faults import FaultKind, FaultRule
from schemas.failures import Reference
from streams.ops.command_base import Exit
from tests.contracts.dkplus_world import DkPlusWorld
from tests.contracts.places import (
    DKPLUS,
    DKPLUS_HOSTILE,
    EVERYWHERE,
    SPAREBANK1,
    SPAREBANK1_HOSTILE,
)
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, World
from tests.ops.books_stage import Stage, staged

everywhere = pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.id)
in_sparebank1 = pytest.mark.parametrize(
    "place", [SPAREBANK1, SPAREBANK1_HOSTILE], ids=lambda place: place.id
)
in_dkplus = pytest.mark.parametrize("place", [DKPLUS, DKPLUS_HOSTILE], ids=lambda place: place.id)


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


def told(findings: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(one["kind"], one["code"], one.get("entity")) for one in findings]


# --- what a person, or a fault, does to the books ----------------------------------------------------


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


# --- the stories -------------------------------------------------------------------------------------


@everywhere
def test_right_books_are_found_right(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        assert await stage.found("verify") == []
        assert (await stage.run("verify")).stdout == "nothing is wrong\n"

    staged(place, tmp_path, story)


@everywhere
def test_an_invoice_that_is_gone_is_missing(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        number = numbers(stage.world)[0]
        remove(stage.world, number)
        (finding,) = await stage.found("verify")
        assert told([finding]) == [("missing", "not-there", f"invoice/{number}")]
        assert finding["integration"] == stage.here.id
        assert finding["text"].startswith(f"Invoice {number} is not in ")
        assert finding["action"]

    staged(place, tmp_path, story)


@everywhere
def test_an_invoice_that_is_there_twice_is_doubled(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        number = numbers(stage.world)[0]
        book_again(stage.world, number)
        assert told(await stage.found("verify")) == [
            ("doubled", "there-twice", f"invoice/{number}")
        ]

    staged(place, tmp_path, story)


@everywhere
def test_an_invoice_that_was_entered_anew_is_another_record(place: Place, tmp_path: Path) -> None:
    """It is not missing, and it is not doubled: what we booked is gone, and somebody mended it."""

    async def story(stage: Stage) -> None:
        await filled(stage)
        number = numbers(stage.world)[0]
        remove(stage.world, number)
        book_again(stage.world, number)
        assert told(await stage.found("verify")) == [
            ("different", "another-record", f"invoice/{number}")
        ]

    staged(place, tmp_path, story)


@everywhere
def test_an_amount_that_was_changed_is_told_with_both_amounts(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        number = numbers(stage.world)[0]
        change_amount(stage.world, number)
        (finding,) = await stage.found("verify")
        assert told([finding]) == [("different", "fields-differ", f"invoice/{number}")]
        (change,) = finding["changes"]
        assert change["field"] == "totalInclVat"
        by = Decimal(change["from"]) - Decimal(change["to"])
        assert Decimal(0) < by < 10
        assert change["from"] in finding["text"]

    staged(place, tmp_path, story)


@everywhere
def test_another_customer_on_an_invoice_is_a_difference(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        number = numbers(stage.world)[0]
        swap_customer(stage.world, number)
        (finding,) = await stage.found("verify")
        assert told([finding]) == [("different", "fields-differ", f"invoice/{number}")]
        assert [one["field"] for one in finding["changes"]] == ["customerNumber"]

    staged(place, tmp_path, story)


@everywhere
def test_an_invoice_of_our_series_that_we_did_not_book_is_unknown(
    place: Place, tmp_path: Path
) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        world = stage.world
        within, beyond = ("10458", "99999") if isinstance(world, DkPlusWorld) else ("1002", "9999")
        del stage.carrier.references[next(k for k in stage.carrier.references if k[1] == within)]
        await stage.record()
        book_again(world, beyond)  # a number that is nothing like ours is nobody's business
        assert told(await stage.found("verify")) == [("unknown", "not-ours", f"invoice/{within}")]

    staged(place, tmp_path, story)


def test_a_voucher_under_our_mark_is_unknown_whatever_its_number(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        assert isinstance(stage.world, Sparebank1World)
        lines = [{"account": 3000, "amount": "-100", "vatCode": "3"}]
        body = {"date": "2026-03-10", "ExternalReference": "moment:invoice:A-7", "lines": lines}
        stage.world.deed("vouchers", body | {"customerNumber": 100042})
        assert told(await stage.found("verify")) == [("unknown", "not-ours", "invoice/A-7")]

    staged(SPAREBANK1, tmp_path, story)


@everywhere
def test_an_invoice_whose_delivery_is_open_is_not_unknown(place: Place, tmp_path: Path) -> None:
    """It may have been booked a moment ago: the ledger itself will find it."""

    async def story(stage: Stage) -> None:
        await filled(stage)
        number = numbers(stage.world)[1]
        key = next(key for key in stage.carrier.references if key[1] == number)
        del stage.carrier.references[key]
        await stage.record()
        await stage.have_seen(stage.world.credit_note())
        assert await stage.found("verify") == []

    staged(place, tmp_path, story)


@everywhere
def test_an_invoice_that_was_reversed_by_hand_is_a_difference(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        world, number = stage.world, numbers(stage.world)[0]
        if isinstance(world, Sparebank1World):
            body = {"journalEntryNumber": voucher(world, number)["JournalEntryNumber"]}
            world.deed("credit", body)
        else:
            assert isinstance(world, DkPlusWorld)
            booked = invoice(world, number).number
            reply = invoices.reverse(
                world.raw(), booked or "", {}, world.clock.now(), via_api=False
            )
            assert reply.status == 200
            world.clock.advance(10.0)
        assert told(await stage.found("verify")) == [("different", "reversed", f"invoice/{number}")]

    staged(place, tmp_path, story)


@in_dkplus
def test_a_draft_is_no_booking(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        assert isinstance(stage.world, DkPlusWorld)
        booked = invoice(stage.world, "10457")
        body = {
            "Customer": {"Number": booked.customer, "SSN": "7112992030"},
            "Reference": "10457",
            "SalesPerson": "web",
            "Lines": [{"ItemCode": "raðgjof", "Quantity": 1, "Price": 1}],
        }
        now = stage.world.clock.now()
        assert invoices.create(stage.world.raw(), body, now, post=False).status == 200
        stage.world.clock.advance(10.0)
        assert await stage.found("verify") == []

    staged(place, tmp_path, story)


@in_dkplus
def test_a_reference_that_another_customer_has_too_is_unknown(place: Place, tmp_path: Path) -> None:
    """A Reference is free text in dk (contract dkplus A4.2): it is not ours, nor ours doubled."""

    async def story(stage: Stage) -> None:
        await filled(stage)
        assert isinstance(stage.world, DkPlusWorld)
        stage.world.have_customer("3112992040", name="Annar ehf.")
        book_again(stage.world, "10457", "3112992040")
        assert told(await stage.found("verify")) == [("unknown", "not-ours", "invoice/10457")]

    staged(place, tmp_path, story)


@in_sparebank1
def test_a_payment_of_an_invoice_is_no_second_invoice(place: Place, tmp_path: Path) -> None:
    """Payments carry the same invoice number and sub-account (contract sparebank1-regnskap 12.2)."""

    async def story(stage: Stage) -> None:
        await filled(stage)
        assert isinstance(stage.world, Sparebank1World)
        lines = [{"account": 1920, "amount": "12500"}]
        body = {"date": "2026-04-10", "invoiceNumber": "1001", "type": 2, "lines": lines}
        stage.world.deed("vouchers", body | {"customerNumber": 100042})
        assert await stage.found("verify") == []

    staged(place, tmp_path, story)


@everywhere
def test_a_customer_that_was_renamed_in_the_books_is_a_difference(
    place: Place, tmp_path: Path
) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        world = stage.world
        if isinstance(world, Sparebank1World):
            info = next(iter(world.raw().table("BusinessRelation").rows.values()))
            world.raw().change("BusinessRelation", info, {"Name": "Mørketid AS"})
        else:
            assert isinstance(world, DkPlusWorld)
            customers.update(world.raw(), "7112992030", {"Name": "Mørketid AS"}, world.clock.now())
        (finding,) = await stage.found("verify")
        assert finding["entity"] == f"customer/{world.customer().number}"
        assert finding["changes"] == [
            {"field": "name", "from": "Mørketid AS", "to": world.customer().name}
        ]

    staged(place, tmp_path, story)


@everywhere
def test_a_project_and_a_customer_that_are_gone_are_missing(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        await stage.carry(world.customer(), world.project())
        customer, project = world.customer().number, world.project().number
        if isinstance(world, Sparebank1World):
            for row in list(world.raw().table("Project").rows.values()):
                world.raw().remove("Project", row)
            world.deed("customers/delete", {"customerNumber": int(customer), "hard": True})
        else:
            assert isinstance(world, DkPlusWorld)
            world.raw().take_away("project", project)
            world.raw().take_away("customer", customer)
        assert told(await stage.found("verify")) == [
            ("missing", "not-there", f"customer/{customer}"),
            ("missing", "not-there", f"project/{project}"),
        ]

    staged(place, tmp_path, story)


@in_sparebank1
def test_a_customer_that_is_there_twice_is_doubled(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.carry(stage.world.customer())
        assert isinstance(stage.world, Sparebank1World)
        books = stage.world.raw()
        (row,) = books.table("Customer").where("CustomerNumber", 100042)
        copy = {name: value for name, value in row.items() if name != "ID"}
        books.make("Customer", copy, stage.world.clock.now())
        assert told(await stage.found("verify")) == [("doubled", "there-twice", "customer/100042")]

    staged(place, tmp_path, story)


@everywhere
def test_only_invoices_of_the_days_named_count(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        first, _, last = numbers(stage.world)
        remove(stage.world, first)
        change_amount(stage.world, last)  # dated 2026-05-02
        missing = ("missing", "not-there", f"invoice/{first}")
        differs = ("different", "fields-differ", f"invoice/{last}")
        march = ("--from", "2026-03-01", "--to", "2026-03-31")
        assert told(await stage.found("verify", *march)) == [missing]
        assert told(await stage.found("verify", "--from", "2026-05-02")) == [differs]
        assert told(await stage.found("verify", "--to", "2026-05-01")) == [missing]
        assert told(await stage.found("verify")) == [differs, missing]

    staged(place, tmp_path, story)


@everywhere
def test_what_was_booked_a_moment_ago_is_not_missed(place: Place, tmp_path: Path) -> None:
    """DK+ is a cache: it may show an invoice later than it has it (contract dkplus A4.2)."""

    async def story(stage: Stage) -> None:
        await filled(stage)
        now = stage.world.clock.now().timestamp()
        reference = Reference(id="999999", number="1-2026")
        identity = await stage.identify()
        stage.have_booking(identity, "55555", reference, None, now)
        assert await stage.found("verify") == []
        stage.have_booking(identity, "55556", reference, None)
        assert told(await stage.found("verify")) == [("missing", "not-there", "invoice/55556")]

    staged(place, tmp_path, story)


@everywhere
def test_books_of_more_than_a_page_are_read_to_their_end(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        world = stage.world
        last = numbers(world)[2]
        if isinstance(world, Sparebank1World):
            for number in range(120):  # more than a page has rows, of what is none of ours
                lines = [{"account": 1920, "amount": "1"}, {"account": 4300, "amount": "-1"}]
                body = {"date": "2026-03-01", "lines": lines, "description": str(number)}
                world.deed("vouchers", body)
        else:
            assert isinstance(world, DkPlusWorld)
            booked = world.raw().invoices
            booked[:0] = [foreign(world, n) for n in range(600)]
        remove(world, last)
        first = numbers(world)[0]
        change_amount(world, first)
        assert told(await stage.found("verify", "--rate", "1000")) == [
            ("different", "fields-differ", f"invoice/{first}"),
            ("missing", "not-there", f"invoice/{last}"),
        ]

    staged(place, tmp_path, story)


def foreign(world: DkPlusWorld, n: int) -> DkInvoice:
    """Somebody else's invoice, older than all of ours."""
    pattern = invoice(world, "10457")
    record = {**pattern.record, "Number": str(n), "RecordID": n, "Reference": f"PO{n}"}
    number = str(n)
    return msgspec.structs.replace(
        pattern, number=number, record_id=n, reference=f"PO{n}", record=record
    )


@everywhere
def test_other_books_than_the_ledger_knows_are_told_and_not_compared(
    place: Place, tmp_path: Path
) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        stage.lead_elsewhere()
        (finding,) = await stage.found("verify")
        assert (finding["kind"], finding["code"]) == ("different", "books-identity-changed")

    staged(place, tmp_path, story)


@everywhere
def test_books_that_are_away_are_exit_3(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        stage.world.set_faults(FaultRule(fault=FaultKind.UNAVAILABLE))
        result = await stage.run("verify", "--wait", "0.1", "--json")
        assert result.exit_code == Exit.AWAY
        assert json.loads(result.stdout) == {"findings": []}
        assert f"{stage.here.id}: " in result.stderr

    staged(place, tmp_path, story)


def test_an_integration_that_is_not_set_up_is_wrong_use(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.record()
        result = await stage.run("verify", "--integration", "nope")
        assert result.exit_code == Exit.WRONG
        assert "'nope' is not set up" in result.stderr

    staged(SPAREBANK1, tmp_path, story)


def test_calls_keep_the_pace_that_was_named(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        before = len(stage.world.asked())
        began = stage.world.clock.elapsed()
        assert await stage.found("verify", "--rate", "8") == []
        calls = len(stage.world.asked()) - before
        assert calls > 6
        # What the last question asked is paid for by nobody.
        assert stage.world.clock.elapsed() - began > (calls - 4) / 8

    staged(SPAREBANK1, tmp_path, story)
