"""The judge: each thing that a client must not do is written down (contract section 12)."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from connectors.sparebank1.simulator.judge import KINDS, Judge
from tests.connectors.sparebank1.simulated_client import KEY, Client, against, config, until

ENTRIES, CUSTOMERS = "/api/biz/journalentries", "/api/biz/customers"


def _income(**values: Any) -> Any:
    return lambda body: body["DraftLines"][1].update(values)


def _customer(**values: Any) -> Any:
    return lambda body: body["DraftLines"][0].update(values)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (_customer(Amount=Decimal("1.00")), "unbalanced-voucher"),
        (_customer(AmountCurrency=Decimal("1.00")), "amount-differs-from-currency"),
        (_customer(AmountCurrency=Decimal("1.00")), "unbalanced-currency"),
        (_customer(Amount=Decimal("12500.0000000001")), "amount-decimals"),
        (_income(IsExternal=True), "is-external"),
        (_income(VatTypeID=None), "income-line-without-vat-type"),
        (_income(InvoiceNumber=None), "invoice-number-missing"),
        (_income(InvoiceNumber="9"), "invoice-numbers-mixed"),
        (_income(PaymentID="10017"), "payment-fields-on-other-line"),
        (_income(_createguid=None), "createguid-missing"),
        (_income(_createguid="1"), "createguid-malformed"),
        (_income(Dimensions={"ProjectID": None}), "createguid-missing"),
        (_income(AcountID=1), "unknown-field"),
        (lambda b: b.update(Lines=b.pop("DraftLines")), "lines-not-draft-lines"),
    ],
)
def test_what_is_wrong_with_a_voucher_is_noted(change: Any, kind: str) -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        change(body)
        await c.book(body)
        assert kind in c.kinds()

    against(None, story)


def test_a_customer_line_on_1500_itself_is_noted() -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        body["DraftLines"][0]["AccountID"] = await c.account_id(1500)
        await c.book(body)
        assert "customer-line-on-ledger-account" in c.kinds()

    against(None, story)


def test_the_same_invoice_twice_is_booked_and_noted() -> None:
    """The platform does not refuse it; the judge sees it."""

    async def story(c: Client) -> None:
        assert (await c.book(await c.voucher("1001"))).status == 200
        assert c.kinds() == set()
        assert (await c.book(await c.voucher("1001"))).status == 200
        assert c.kinds() == {"double-booking"}
        assert (await c.admin("violations"))[0]["text"] == "invoice 1001: 1-2026 and 2-2026"

    against(None, story)


def test_a_credited_voucher_and_the_opposite_sign_are_no_doubles() -> None:
    async def story(c: Client) -> None:
        await c.book(await c.voucher("1001"))
        await c.book(await c.voucher("1001", amount=Decimal("-12500.00")))
        await c.admin(f"companies/{KEY}/credit", {"journalEntryNumber": "1-2026"})
        await c.book(await c.voucher("1001"))
        assert c.kinds() == set()

    against(None, story)


def test_crediting_by_the_platforms_action_is_noted() -> None:
    async def story(c: Client) -> None:
        await c.book(await c.voucher("1001"))
        query: dict[str, Any] = {"action": "credit-journal-entry", "journalEntryNumber": "1-2026"}
        assert (await c.send("POST", ENTRIES, **query)).status == 200
        assert c.kinds() == {"credit-by-platform"}

    against(None, story)


@pytest.mark.parametrize(
    ("method", "path", "body", "kind"),
    [
        ("DELETE", f"{CUSTOMERS}/2000013", None, "write-outside-contract"),
        ("POST", "/api/biz/accounts", {"AccountNumber": 3999}, "write-outside-contract"),
        ("POST", "/api/biz/invoices", {}, "unknown-route"),
        ("PATCH", CUSTOMERS, {}, "unknown-route"),
        ("POST", CUSTOMERS, [], "body-unreadable"),
    ],
)
def test_writes_outside_the_contract_are_noted(
    method: str, path: str, body: object, kind: str
) -> None:
    async def story(c: Client) -> None:
        answer = await c.send(method, path, body)
        assert answer.status >= 400
        assert c.kinds() == {kind}

    against(None, story)


def test_a_write_that_is_no_json_is_noted() -> None:
    async def story(c: Client) -> None:
        body = {"CustomerNumber": 100_001}
        answer = await c.send("POST", CUSTOMERS, body, headers={"Content-Type": "text/plain"})
        assert answer.status == 400
        assert c.kinds() == {"content-type"}

    against(None, story)


def test_two_bookings_of_one_company_at_once_are_noted() -> None:
    async def story(c: Client) -> None:
        bodies = [await c.voucher(n) for n in ("1001", "1002")]
        await asyncio.gather(*(c.book(body) for body in bodies))
        await until(lambda: c.kinds() == {"simultaneous-bookings"})

    against(config(booking_delay_ms=50), story)


def test_one_booking_after_the_other_or_after_a_client_gave_up_is_fine() -> None:
    """A timeout gives the slot back, although the platform is still at work."""

    async def story(c: Client) -> None:
        body, next_body = await c.voucher("1001"), await c.voucher("1002")
        path: dict[str, Any] = {"action": "book-journal-entries"}
        with pytest.raises(TimeoutError):
            await c.send("POST", ENTRIES, [body], seconds=0.1, **path)
        assert (await c.book(next_body)).status == 200
        assert len(c.running.books(KEY)["vouchers"]) == 2
        assert c.kinds() == set()

    against(config(booking_delay_ms=300), story)


def test_a_kind_without_a_reason_is_a_bug() -> None:
    judge = Judge()
    with pytest.raises(ValueError, match="no such kind"):
        judge.note(__import__("datetime").datetime.now(), KEY, "typo", "")
    assert all(KINDS.values())
