"""Whether an invoice adds up, before it is sent anywhere (interface section 2).

Nothing is ever corrected here: an invoice that went out is what it is.
"""

from collections import defaultdict
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import reduce

from schemas.events import Invoice, InvoiceKind, InvoiceLine
from schemas.failures import Failure, FailureCode, plain

# A line total is a product of four decimals of at most 18 digits each: 76 digits, with room for
# the sum of a full message of lines.
_EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
_HUNDRED = Decimal(100)
_ONE = Decimal(1)

# Currencies without a minor unit that are invoiced here (contract dkplus A7: whole krónur).
WHOLE_UNIT_CURRENCIES = frozenset({"ISK"})
DEFAULT_MINOR_UNITS = 2


def minor_units_of(currency_code: str) -> int:
    """Digits after the point in amounts of a currency: 0 for ISK, else 2."""
    return 0 if currency_code.strip().upper() in WHOLE_UNIT_CURRENCIES else DEFAULT_MINOR_UNITS


def round_money(value: Decimal, minor_units: int = DEFAULT_MINOR_UNITS) -> Decimal:
    """The value with `minor_units` digits after the point, half away from zero."""
    return value.quantize(_ONE.scaleb(-minor_units), context=_EXACT)


def gross(net: Decimal, percent: Decimal, minor_units: int = DEFAULT_MINOR_UNITS) -> Decimal:
    """Net with VAT of `percent` on it, rounded as money."""
    with localcontext(_EXACT):
        return round_money(net * (1 + percent / _HUNDRED), minor_units)


def line_total(line: InvoiceLine) -> Decimal:
    """What the line should come to without VAT, not rounded: after surcharge and discount."""
    with localcontext(_EXACT):
        surcharge = 1 + (line.surcharge_percent or 0) / _HUNDRED
        discount = 1 - (line.discount_percent or 0) / _HUNDRED
        return line.quantity * line.unit_price * surcharge * discount


def sum_of_lines(invoice: Invoice) -> Decimal:
    """The exact sum of the lines without VAT."""
    with localcontext(_EXACT):
        return sum((line.total_excl_vat for line in invoice.lines), Decimal(0))


def refuse_invoice(invoice: Invoice, minor_units: int | None = None) -> Failure | None:
    """The first thing that does not add up, or None.

    In this order: `line-total-differs` at `$.lines[i].totalExclVat`; `credit-sign` at
    `$.totalExclVat`, or where that is absent at the first line above zero; `totals-differ` at
    `$.totalExclVat`, `$.totalVat`, `$.totalInclVat`. `minor_units` None: the currency's own.
    """
    units = minor_units_of(invoice.currency_code) if minor_units is None else minor_units
    with localcontext(_EXACT):
        return (
            _refuse_lines(invoice, units)
            or _refuse_credit_sign(invoice)
            or _refuse_totals(invoice, units)
        )


def _refuse_lines(invoice: Invoice, units: int) -> Failure | None:
    tolerance = _ONE.scaleb(-units)
    for index, line in enumerate(invoice.lines):
        expected = line_total(line)
        if abs(line.total_excl_vat - expected) > tolerance:
            return Failure(
                code=FailureCode.LINE_TOTAL_DIFFERS,
                parameters={
                    "line": str(index + 1),
                    "expected": plain(round_money(expected, units)),
                    "found": plain(line.total_excl_vat),
                },
                field=f"$.lines[{index}].totalExclVat",
            )
    return None


def _refuse_credit_sign(invoice: Invoice) -> Failure | None:
    total = sum_of_lines(invoice)
    if invoice.kind is not InvoiceKind.CREDIT_NOTE or total <= 0:
        return None
    above_zero = next(i for i, line in enumerate(invoice.lines) if line.total_excl_vat > 0)
    given = invoice.total_excl_vat is not None
    return Failure(
        code=FailureCode.CREDIT_SIGN,
        parameters={"total": plain(total)},
        field="$.totalExclVat" if given else f"$.lines[{above_zero}].totalExclVat",
    )


def _refuse_totals(invoice: Invoice, units: int) -> Failure | None:
    net = sum_of_lines(invoice)
    if invoice.total_excl_vat is not None and invoice.total_excl_vat != net:
        return _totals_differ("totalExclVat", net, invoice.total_excl_vat)
    tolerance = _ONE.scaleb(-units) * len(invoice.lines)
    amounts = _vat_amounts(invoice, units)
    if not amounts:
        return _refuse_unexplained_totals(invoice, net, tolerance)
    if invoice.total_vat is not None and not _near(invoice.total_vat, amounts, tolerance):
        return _totals_differ("totalVat", amounts[0], invoice.total_vat)
    whole = [net + vat for vat in amounts]
    if invoice.total_incl_vat is not None and not _near(invoice.total_incl_vat, whole, tolerance):
        return _totals_differ("totalInclVat", round_money(whole[0], units), invoice.total_incl_vat)
    return None


def _refuse_unexplained_totals(
    invoice: Invoice, net: Decimal, tolerance: Decimal
) -> Failure | None:
    """Without a percent on every line VAT cannot be computed: the totals must fit each other."""
    if invoice.total_vat is None or invoice.total_incl_vat is None:
        return None
    expected = net + invoice.total_vat
    if abs(invoice.total_incl_vat - expected) <= tolerance:
        return None
    return _totals_differ("totalInclVat", expected, invoice.total_incl_vat)


def _vat_amounts(invoice: Invoice, units: int) -> list[Decimal]:
    """VAT of the invoice, rounded per line and rounded per rate; empty where a rate is missing."""
    per_line = Decimal(0)
    base: dict[Decimal, Decimal] = defaultdict(Decimal)
    for line in invoice.lines:
        if line.vat_percent is None:
            return []
        per_line += round_money(line.total_excl_vat * line.vat_percent / _HUNDRED, units)
        base[line.vat_percent] += line.total_excl_vat
    per_rate = reduce(
        lambda total, rate: total + round_money(base[rate] * rate / _HUNDRED, units),
        base,
        Decimal(0),
    )
    return [per_line, per_rate]


def _near(found: Decimal, expected: list[Decimal], tolerance: Decimal) -> bool:
    return any(abs(found - value) <= tolerance for value in expected)


def _totals_differ(member: str, expected: Decimal, found: Decimal) -> Failure:
    return Failure(
        code=FailureCode.TOTALS_DIFFER,
        parameters={"expected": plain(expected), "found": plain(found)},
        field=f"$.{member}",
    )
