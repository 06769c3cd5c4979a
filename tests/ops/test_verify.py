"""Books that are made wrong on purpose, in both systems, and what `verify` says of them."""

from decimal import Decimal
from pathlib import Path

import pytest

from connectors.dkplus.simulator import customers, invoices
from tests.contracts.dkplus_world import DkPlusWorld
from tests.contracts.places import (
    DKPLUS,
    DKPLUS_HOSTILE,
    EVERYWHERE,
    SPAREBANK1,
    SPAREBANK1_HOSTILE,
)
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place
from tests.ops.books_deeds import (
    book_again,
    change_amount,
    filled,
    invoice,
    numbers,
    remove,
    swap_customer,
    voucher,
)
from tests.ops.books_stage import Stage, staged, told

everywhere = pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.id)
in_sparebank1 = pytest.mark.parametrize(
    "place", [SPAREBANK1, SPAREBANK1_HOSTILE], ids=lambda place: place.id
)
in_dkplus = pytest.mark.parametrize("place", [DKPLUS, DKPLUS_HOSTILE], ids=lambda place: place.id)


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
    """Payments carry the same invoice number and sub-account (contract 12.2)."""

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


@in_sparebank1
def test_what_was_booked_by_hand_and_credited_again_is_nobodys_business(
    place: Place, tmp_path: Path
) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        world = stage.world
        assert isinstance(world, Sparebank1World)
        for number in ("1001", "1002"):
            book_again(world, number)
            last = max(world.raw().table("JournalEntry").rows.values(), key=lambda row: row["ID"])
            world.deed("credit", {"journalEntryNumber": last["JournalEntryNumber"]})
        assert await stage.found("verify") == []

    staged(place, tmp_path, story)
