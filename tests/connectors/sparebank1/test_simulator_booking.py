"""Booking and crediting in the simulated platform (contract sparebank1-regnskap 4)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sparebank1.simulator.booking import _split
from connectors.sparebank1.simulator.switches import ExternalReference, Switches, VoucherNumbering
from tests.connectors.sparebank1.simulated_client import KEY, Client, against, config, guid

ENTRIES = "/api/biz/journalentries"


def test_a_booking_swaps_the_sub_account_and_splits_the_vat() -> None:
    async def story(c: Client) -> None:
        answer = await c.book(await c.voucher("1001"))
        assert answer.status == 200
        entry = answer.json[0]
        assert (entry["JournalEntryNumber"], entry["JournalEntryNumberNumeric"]) == ("1-2026", 1)
        assert "Lines" not in entry
        voucher = c.running.books(KEY)["vouchers"][0]
        assert [
            (x["account"], x["customerNumber"], str(x["amount"])) for x in voucher["lines"]
        ] == [
            (1500, 100_042, "12500.00"),
            (3000, None, "-10000.00"),
            (2700, None, "-2500.00"),
        ]
        assert voucher["externalReference"] == "invoice:1001"
        assert [x["status"] for x in voucher["lines"]] == [31001, None, None]
        assert c.kinds() == set()

    against(None, story)


def test_amounts_come_back_digit_for_digit() -> None:
    async def story(c: Client) -> None:
        await c.book(await c.voucher("1001", amount=Decimal("0.10")))
        raw = await c.send("GET", "/api/biz/journalentrylines", filter="InvoiceNumber eq '1001'")
        assert '"Amount":0.10,' in raw.text
        assert '"Amount":-0.08,' in raw.text

    against(None, story)


def test_lines_are_read_by_expand_or_by_their_own_route() -> None:
    async def story(c: Client) -> None:
        entry = (await c.book(await c.voucher("1001"))).json[0]
        whole = await c.get(f"{ENTRIES}/{entry['ID']}", expand="Lines,DraftLines")
        assert (len(whole["Lines"]), len(whole["DraftLines"])) == (3, 2)
        assert whole["Lines"][2]["VatJournalEntryPostID"] == whole["Lines"][1]["ID"]
        assert str(whole["Lines"][2]["TaxBasisAmount"]) == "-10000.00"
        query = f"JournalEntryID eq {entry['ID']}"
        assert len(await c.get("/api/biz/journalentrylines", filter=query)) == 3

    against(None, story)


@given(
    st.integers(1, 10**12).map(lambda n: Decimal(n) / 100),
    st.sampled_from([Decimal(25), Decimal(15), Decimal(12), Decimal("11.11")]),
)
def test_a_split_loses_no_ore(gross: Decimal, rate: Decimal) -> None:
    net, tax = _split(gross, rate)
    assert net + tax == gross
    assert abs(net * (1 + rate / 100) - gross) <= Decimal("0.01")


@given(st.integers(1, 10**12).map(lambda n: Decimal(n) / 100), st.sampled_from([25, 15, 12]))
def test_a_gross_made_from_a_net_splits_into_that_net(net: Decimal, rate: int) -> None:
    """Section 4.3: from a source with net totals the server's net is the same again."""
    gross = (net * (100 + rate) / 100).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
    assert _split(gross, Decimal(rate))[0] == net


def _change_line(index: int, **values: Any) -> Any:
    def change(body: Any) -> None:
        body["DraftLines"][index] |= values

    return change


def _add_nothing(body: Any) -> None:
    line = body["DraftLines"][0] | {"Amount": 0, "_createguid": guid()}
    body["DraftLines"].append(line)


def _repeat_guid(body: Any) -> None:
    first, second = body["DraftLines"]
    second["_createguid"] = first["_createguid"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_change_line(0, Amount=Decimal("12500.01")), "går ikke i balanse"),
        (_change_line(0, FinancialDate="2025-12-31"), "flere regnskapsår"),
        (_change_line(0, FinancialDate=None), "må fylles ut"),
        (_change_line(0, AccountID=None), "må fylles ut"),
        (_change_line(0, JournalEntryTypeID=3), "bilagstyper"),
        (_change_line(0, Description="x" * 501), "lengre enn 500"),
        (_change_line(0, DueDate="24.03.2026"), "Error converting"),
        (lambda b: b.update(DraftLines=[]), "ingen linjer"),
        (lambda b: b.update(Description="x" * 201), "lengre enn 200"),
        (_add_nothing, "kan ikke være 0"),
        (_repeat_guid, "guid"),
    ],
)
def test_a_wrong_voucher_is_refused_and_leaves_nothing(change: Any, says: str) -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        change(body)
        answer = await c.book(body)
        assert (answer.status, says in answer.text) == (400, True), answer.text
        books = c.running.server.simulator.books[KEY]
        assert not books.table("JournalEntry").rows
        assert not books.table("JournalEntryLineDraft").rows

    against(None, story)


def test_one_wrong_voucher_refuses_its_whole_batch() -> None:
    async def story(c: Client) -> None:
        good, bad = await c.voucher("1001"), await c.voucher("1002")
        bad["DraftLines"].pop()
        answer = await c.send("POST", ENTRIES, [good, bad], action="book-journal-entries")
        assert answer.status == 400
        assert c.running.books(KEY)["vouchers"] == []
        assert (await c.book(good)).json[0]["JournalEntryNumber"] == "1-2026"

    against(None, story)


@pytest.mark.parametrize("field", ["AccountID", "VatTypeID", "CurrencyCodeID"])
def test_a_number_in_place_of_an_id_is_a_foreign_key_fault(field: str) -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        body["DraftLines"][1][field] = 3000
        answer = await c.book(body)
        assert (answer.status, "FOREIGN KEY constraint" in answer.json["Message"]) == (500, True)

    against(None, story)


def test_an_id_of_another_company_is_a_foreign_key_fault() -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        other = c.running.server.config.companies[1].key
        answer = await c.send("POST", ENTRIES, [body], key=other, action="book-journal-entries")
        assert answer.status == 500

    against(None, story)


def test_locked_accounts_and_vat_types_take_no_voucher() -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        for what in ("Locked", "LockManualPosts"):
            await c.admin(f"companies/{KEY}/accounts", {"AccountNumber": 3000, what: True})
            answer = await c.book(body)
            assert (answer.status, "kontoen er sperret" in answer.text) == (400, True)
            await c.admin(f"companies/{KEY}/accounts", {"AccountNumber": 3000, what: False})
        await c.admin(f"companies/{KEY}/vattypes", {"VatCode": "3", "Locked": True})
        assert "Mva-kode 3 er sperret" in (await c.book(body)).text
        past = {"VatCode": "3", "Locked": False, "VatPercent": 25, "ValidTo": "2026-01-01"}
        await c.admin(f"companies/{KEY}/vattypes", past)
        assert "ikke gyldig 2026-03-10" in (await c.book(body)).text

    against(None, story)


@pytest.mark.parametrize(
    ("lock", "says"), [("AccountingLockedDate", "Regnskapet"), ("VatLockedDate", "MVA")]
)
def test_both_lock_dates_hold_up_to_their_day(lock: str, says: str) -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        await c.admin(f"companies/{KEY}/locks", {lock: "2026-03-10"})
        assert (await c.get("/api/biz/companysettings/1"))[lock] == "2026-03-10"
        answer = await c.book(body)
        assert (answer.status, f"{says} er låst til 10.03.2026" in answer.text) == (400, True)
        await c.admin(f"companies/{KEY}/locks", {lock: "2026-03-09"})
        assert (await c.book(body)).status == 200

    against(None, story)


def test_overruling_a_lock_works_and_is_a_violation() -> None:
    async def story(c: Client) -> None:
        await c.admin(f"companies/{KEY}/locks", {"AccountingLockedDate": "2026-03-10"})
        body = await c.voucher("1001")
        answer = await c.book(body, allowJournalingRegardlessOfLockedDates="true")
        assert (answer.status, c.kinds()) == (200, {"locked-dates-overruled"})

    against(None, story)


@pytest.mark.parametrize(
    ("numbering", "number"),
    [
        (VoucherNumbering.IGNORED, "1-2026"),
        (VoucherNumbering.HONOURED, "10017-2026"),
        (VoucherNumbering.REFUSED, None),
    ],
)
def test_a_proposed_number_is_ignored_honoured_or_refused(
    numbering: VoucherNumbering, number: str | None
) -> None:
    async def story(c: Client) -> None:
        answer = await c.book(await c.voucher("1001", JournalEntryNumber="10017-2026"))
        if number is None:
            assert (answer.status, "Bilagsnummer" in answer.text) == (400, True)
        else:
            assert answer.json[0]["JournalEntryNumber"] == number

    against(config(Switches(voucher_number=numbering)), story)


@pytest.mark.parametrize("proposed", ["10017-2025", "2147483648-2026", "x", "1-2026"])
def test_a_number_that_cannot_be_is_refused_even_where_numbers_are_honoured(proposed: str) -> None:
    async def story(c: Client) -> None:
        await c.book(await c.voucher("1000"))
        answer = await c.book(await c.voucher("1001", JournalEntryNumber=proposed))
        assert answer.status == 400

    against(config(Switches(voucher_number=VoucherNumbering.HONOURED)), story)


def test_numbers_begin_anew_each_year_and_skip_what_is_taken() -> None:
    async def story(c: Client) -> None:
        await c.book(await c.voucher("1000", JournalEntryNumber="2-2026"))
        numbers = [(await c.book(await c.voucher(i))).json[0] for i in ("1001", "1002")]
        assert [n["JournalEntryNumber"] for n in numbers] == ["1-2026", "3-2026"]
        later = await c.voucher("1003")
        for line in later["DraftLines"]:
            line["FinancialDate"] = "2027-01-02"
        assert (await c.book(later)).json[0]["JournalEntryNumber"] == "1-2027"

    against(config(Switches(voucher_number=VoucherNumbering.HONOURED)), story)


@pytest.mark.parametrize(
    ("kept", "found", "shown"),
    [
        (ExternalReference.FILTERABLE, 1, "invoice:1001"),
        (ExternalReference.STORED, 2, "invoice:1001"),
        (ExternalReference.DROPPED, 2, None),
    ],
)
def test_an_external_reference_is_kept_and_found_as_the_switch_says(
    kept: ExternalReference, found: int, shown: str | None
) -> None:
    """Not filterable means: the filter is ignored and everything comes back."""

    async def story(c: Client) -> None:
        await c.book(await c.voucher("1001"))
        await c.book(await c.voucher("1002"))
        rows = await c.get(ENTRIES, filter="ExternalReference eq 'invoice:1001'")
        assert len(rows) == found
        assert rows[0].get("ExternalReference") == shown
        assert c.kinds() == set()

    against(config(Switches(external_reference=kept)), story)


def test_an_external_reference_may_be_set_later_or_have_to_be_unique() -> None:
    async def later(c: Client) -> None:
        entry = (await c.book(await c.voucher("1001"))).json[0]
        query: dict[str, Any] = {"journalEntryID": str(entry["ID"]), "externalReference": "other"}
        await c.send("PUT", ENTRIES, action="update-external-reference", **query)
        assert (await c.get(f"{ENTRIES}/{entry['ID']}"))["ExternalReference"] == "other"

    async def unique(c: Client) -> None:
        await c.book(await c.voucher("1001"))
        again = await c.book(await c.voucher("1002", ExternalReference="invoice:1001"))
        assert again.status == 400

    against(None, later)
    against(config(Switches(external_reference_unique=True)), unique)


def test_foreign_currency_is_booked_in_the_base_currency() -> None:
    async def story(c: Client) -> None:
        rows = await c.get("/api/biz/currencycodes", filter="Code eq 'EUR'")
        body = await c.voucher("1001")
        for line in body["DraftLines"]:
            amount = line.pop("Amount")
            line |= {"AmountCurrency": amount / 10, "CurrencyCodeID": rows[0]["ID"]}
            line["CurrencyExchangeRate"] = Decimal("11.5")
        assert (await c.book(body)).status == 200
        lines = c.running.books(KEY)["vouchers"][0]["lines"]
        assert [(str(x["amount"]), str(x["amountCurrency"]), x["currency"]) for x in lines] == [
            ("14375.00", "1250.00", "EUR"),
            ("-11500.00", "-1000.00", "EUR"),
            ("-2875.00", "-250.00", "EUR"),
        ]

    against(None, story)


def test_a_person_credits_a_voucher_and_both_are_marked() -> None:
    async def story(c: Client) -> None:
        entry = (await c.book(await c.voucher("1001"))).json[0]
        await c.admin(f"companies/{KEY}/credit", {"journalEntryNumber": "1-2026"})
        vouchers = c.running.books(KEY)["vouchers"]
        assert [(v["number"], v["credited"]) for v in vouchers] == [
            ("1-2026", True),
            ("2-2026", True),
        ]
        lines = await c.get("/api/biz/journalentrylines", filter="InvoiceNumber eq '1001'")
        assert {line["StatusCode"] for line in lines} == {31004}
        assert sum(line["Amount"] for line in lines) == 0
        assert lines[0]["ReferenceCreditPostID"] == lines[3]["ID"]
        assert lines[3]["OriginalReferencePostID"] == lines[0]["ID"]
        assert entry["ID"] == lines[0]["JournalEntryID"]

    against(None, story)


def test_a_voucher_by_hand_stands_beside_ours_under_the_same_invoice_number() -> None:
    async def story(c: Client) -> None:
        await c.customer(100_042)
        payment = {
            "date": "2026-03-20",
            "customerNumber": 100_042,
            "invoiceNumber": "1001",
            "type": 1,
            "lines": [{"account": 1920, "amount": "12500.00"}],
        }
        await c.admin(f"companies/{KEY}/vouchers", payment)
        lines = c.running.books(KEY)["vouchers"][0]["lines"]
        assert [(x["account"], str(x["amount"])) for x in lines] == [
            (1500, "-12500.00"),
            (1920, "12500.00"),
        ]
        await c.book(await c.voucher("1001"))
        assert c.kinds() == set()

    against(None, story)
