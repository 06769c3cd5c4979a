"""Amounts of an invoice as DK+ takes them and as its answers are compared (contract A11.3, A11.6).

Exact: nothing here is rounded, and no result depends on the thread's decimal context.
"""

from decimal import Context, Decimal
from typing import Literal

from schemas.arithmetic import minor_units_of, sum_of_lines
from schemas.events import Invoice, InvoiceKind, InvoiceLine
from schemas.failures import plain

_CENT = Decimal("0.01")
_SHOWN = Decimal("0.0001")  # finer than any rate or amount, coarser than a double's tail
_HUNDRED = Decimal(100)
# Digits: three factors of 18 digits and 6 decimals each, and the sum of thousands of those.
_EXACT = Context(prec=120)


def price_after_surcharge(line: InvoiceLine) -> Decimal:
    """The unit price with the surcharge in it: DK+ has no field for one (contract moment, DK+)."""
    if not line.surcharge_percent:
        return line.unit_price
    factor = _EXACT.add(_HUNDRED, line.surcharge_percent)
    return _EXACT.multiply(line.unit_price, factor).scaleb(-2, _EXACT)


def has_amount(line: InvoiceLine) -> bool:
    """Whether money is asked for or given back by this line."""
    return not line.total_excl_vat.is_zero()


def quantity_and_price(kind: InvoiceKind, line: InvoiceLine) -> tuple[Decimal, Decimal]:
    """Quantity and unit price to send.

    On a credit note the price is the absolute value and the quantity carries the sign of the line
    (contract dkplus A11.5); on an invoice both go as Moment has them (A11.6).
    """
    price = price_after_surcharge(line)
    if kind is not InvoiceKind.CREDIT_NOTE:
        return line.quantity, price
    quantity = line.quantity.copy_abs()
    sign = line.total_excl_vat or _EXACT.multiply(line.quantity, price)
    return (quantity.copy_negate() if sign < 0 else quantity), price.copy_abs()


def gross_total(invoice: Invoice) -> Decimal | None:
    """What is to be paid: as Moment says it, else from its rates; None where it cannot be known."""
    if invoice.total_incl_vat is not None:
        return invoice.total_incl_vat
    net = sum_of_lines(invoice)
    if invoice.total_vat is not None:
        return _EXACT.add(net, invoice.total_vat)
    vat = Decimal(0)
    for line in invoice.lines:
        if line.vat_percent is None:
            if has_amount(line):
                return None
            continue
        vat = _EXACT.fma(line.total_excl_vat, line.vat_percent, vat)
    return _EXACT.add(net, vat.scaleb(-2, _EXACT))


def converted(amount: Decimal, rate: Decimal) -> Decimal:
    """An amount in the company's own currency."""
    return _EXACT.multiply(amount, rate)


def near(one: Decimal, other: Decimal, tolerance: Decimal) -> bool:
    """Whether two amounts differ by the tolerance at most."""
    return _EXACT.subtract(one, other).copy_abs() <= tolerance


def shown(value: Decimal) -> str:
    """A number of DK+ as people read it: doubles come with tails (contract dkplus A6)."""
    return plain(value.quantize(_SHOWN, context=_EXACT))


def hit_tolerance(lines: int) -> Decimal:
    """How far a found invoice's total may be from ours: a króna a line (contract A11.3)."""
    return Decimal(max(1, lines))


def warning_tolerance(lines: int, currency: str) -> Decimal:
    """How far a total may be from ours untold: a króna a line, or 0.01 where there are cents."""
    unit = Decimal(1) if minor_units_of(currency) == 0 else _CENT
    return unit * max(1, lines)


def sign_of(amount: Decimal) -> Literal[-1, 0, 1]:
    """-1, 0 or 1."""
    if amount.is_zero():
        return 0
    return -1 if amount < 0 else 1
