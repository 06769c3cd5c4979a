from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from connectors.dkplus.amounts import gross_total, price_after_surcharge, quantity_and_price
from connectors.dkplus.bookings import Asked, asked_by, asked_of
from connectors.dkplus.connector import DkPlus
from connectors.dkplus.invoice_body import Extras, invoice_body
from connectors.dkplus.products import CodedLine
from connectors.dkplus.requests import book_invoice
from schemas.arithmetic import refuse_invoice
from schemas.events import Invoice, InvoiceKind, InvoiceLine
from tests.connectors.dkplus.driver import HOURS, INTEGRATION, INVOICE, changed

amounts = st.decimals(min_value=Decimal(-999999999999), max_value=Decimal(999999999999), places=6)
percents = st.decimals(min_value=Decimal(0), max_value=Decimal(100), places=4)
kinds = st.sampled_from(list(InvoiceKind))


@st.composite
def lines(draw: st.DrawFn) -> InvoiceLine:
    with localcontext(prec=100):
        quantity, price = draw(amounts), draw(amounts)
        surcharge, discount = draw(st.none() | percents), draw(st.none() | percents)
        total = quantity * price * (100 + (surcharge or 0)) * (100 - (discount or 0)) / 10000
    line: InvoiceLine = changed(
        HOURS,
        quantity=quantity,
        unit_price=price,
        surcharge_percent=surcharge,
        discount_percent=discount,
        total_excl_vat=total,
        vat_percent=draw(st.sampled_from([Decimal(24), Decimal(11), Decimal(0)])),
    )
    return line


@given(lines(), kinds)
def test_what_is_sent_comes_to_the_lines_total_exactly(
    line: InvoiceLine, kind: InvoiceKind
) -> None:
    quantity, price = quantity_and_price(kind, line)
    with localcontext(prec=100):
        assert quantity * price * (100 - (line.discount_percent or 0)) / 100 == line.total_excl_vat


@given(lines())
def test_a_credit_notes_price_is_never_negative(line: InvoiceLine) -> None:
    assert quantity_and_price(InvoiceKind.CREDIT_NOTE, line)[1] >= 0
    assert quantity_and_price(InvoiceKind.INVOICE, line)[0] == line.quantity


@given(lines())
def test_the_price_does_not_depend_on_the_threads_precision(line: InvoiceLine) -> None:
    with localcontext(prec=3):
        rough = price_after_surcharge(line)
    with localcontext(prec=100):
        assert rough == price_after_surcharge(line)
        assert rough == line.unit_price * (100 + (line.surcharge_percent or 0)) / 100


@given(st.lists(lines(), min_size=1, max_size=8), kinds)
def test_numbers_on_the_wire_are_the_exact_ones_in_plain_notation(
    many: list[InvoiceLine], kind: InvoiceKind
) -> None:
    import json

    invoice: Invoice = changed(INVOICE, kind=kind, lines=tuple(many))
    coded = tuple(CodedLine(index=i, code="x", line=line) for i, line in enumerate(many))
    extras = Extras(customer_number="1", kennitala="2", sales_person="3", codes={"x": "x"})
    body = book_invoice(invoice_body(invoice, coded, extras)).body or b""
    sent = json.loads(body, parse_float=Decimal, parse_int=Decimal)["Lines"]
    for line, out in zip(many, sent, strict=True):
        assert (out["Quantity"], out["Price"]) == quantity_and_price(kind, line)
        assert "E" not in f"{out['Price']:f}"
    assert b"E+" not in body.replace(b'"', b"")
    assert b":-0," not in body


@given(st.lists(lines(), min_size=1, max_size=8))
def test_the_total_expected_is_the_one_that_an_invoice_may_claim(many: list[InvoiceLine]) -> None:
    invoice: Invoice = changed(INVOICE, currency_code="EUR", lines=tuple(many))
    total = gross_total(invoice)
    assert total is not None
    claimed: Invoice = changed(invoice, total_incl_vat=total)
    assert refuse_invoice(claimed) is None
    assert gross_total(claimed) == total


@given(st.lists(lines(), min_size=1, max_size=8), st.none() | amounts, st.sampled_from(["", "P1"]))
def test_an_intent_says_all_that_was_asked(
    many: list[InvoiceLine], rate: Decimal | None, project: str
) -> None:
    invoice: Invoice = changed(INVOICE, lines=tuple(many), currency_rate=rate or None)
    asked: Asked = asked_of(invoice, "711299-2030", project=project)
    assert asked_by(asked.intent(), invoice) == asked


@given(lines())
def test_equal_values_have_equal_content(line: InvoiceLine) -> None:
    longer = changed(
        line,
        quantity=line.quantity.quantize(Decimal("0.0000001")),
        surcharge_percent=line.surcharge_percent or None,
    )
    content = DkPlus().content
    assert content(changed(INVOICE, lines=(line,)), INTEGRATION) == content(
        changed(INVOICE, lines=(longer,)), INTEGRATION
    )


def test_a_total_without_every_rate_is_not_known() -> None:
    unknown = changed(INVOICE, lines=(HOURS, changed(HOURS, vat_percent=None)))
    assert gross_total(unknown) is None
    assert gross_total(changed(unknown, total_vat=Decimal(1))) == Decimal(398001)
    assert gross_total(changed(unknown, total_incl_vat=Decimal(7))) == Decimal(7)
