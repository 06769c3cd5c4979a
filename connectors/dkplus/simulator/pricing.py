"""What an invoice comes to in dk: VAT by product, discounts, whole krónur (contract dkplus A6).

Pure. Amounts are Decimal with the sign of the line: a negative quantity is a credit.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any

import msgspec

from connectors.dkplus.simulator.switches import DiscountRule, Rounding, Switches

_HUNDRED = Decimal(100)
_CURRENCY_EXPONENT = {"ISK": Decimal(1), "JPY": Decimal(1)}  # krónur have had no aurar since 2003
_CENT = Decimal("0.01")
# a double holds 17 significant digits; a unit in the last place is about 2e-16 of the value
_DOUBLE = Context(prec=17)
_BINARY_TAIL = Decimal("2.3E-16")


class PricedLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line as dk sees it. `discount_amount` has the sign of the line."""

    item_code: str
    text: str
    quantity: Decimal
    unit_price: Decimal
    unit_price_with_tax: Decimal
    discount: Decimal
    discount_amount: Decimal
    total: Decimal
    total_with_tax: Decimal
    factor: Decimal
    dim1: str = ""


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A whole invoice, rounded as the switch says."""

    lines: tuple[PricedLine, ...]
    total: Decimal
    total_with_tax: Decimal


def whole(amount: Decimal, currency: str) -> Decimal:
    """The amount in whole units of its currency, half away from zero."""
    return amount.quantize(_CURRENCY_EXPONENT.get(currency, _CENT), ROUND_HALF_UP)


def price_line(
    line: Mapping[str, Any],
    product: Mapping[str, Any],
    switches: Switches,
    *,
    untaxed: bool,
    original_prices: bool,
    currency: str,
) -> PricedLine:
    """One line priced; `line` has been read by `members.read_body`."""
    percent = Decimal(0) if untaxed else Decimal(product.get("TaxPercent", 0))
    factor = 1 + percent / _HUNDRED
    quantity = line.get("Quantity", Decimal(1))
    price = line.get("Price")
    if price is None:
        price = Decimal(product.get("UnitPrice1", 0)) if original_prices else Decimal(0)
    elif line.get("IncludingVAT", False):
        # a price with VAT is one with the product's own VAT, also where none is charged in the end
        price = price / (1 + Decimal(product.get("TaxPercent", 0)) / _HUNDRED)
    gross = quantity * price
    discount, off = _discount(
        line, gross, allowed=product.get("AllowDiscount", True), rule=switches
    )
    total = gross - off
    if switches.total_overrides and "Total" in line:
        total = line["Total"]
    with_tax = total * factor
    if switches.rounding is Rounding.LINE:
        total, with_tax = whole(total, currency), whole(with_tax, currency)
    return PricedLine(
        item_code=str(product["ItemCode"]),
        text=line.get("Text", product.get("Description", "")),
        quantity=quantity,
        unit_price=price,
        unit_price_with_tax=price * factor,
        discount=discount,
        discount_amount=off,
        total=total,
        total_with_tax=with_tax,
        factor=factor,
        dim1=line.get("Dim1", ""),
    )


def _discount(
    line: Mapping[str, Any], gross: Decimal, *, allowed: bool, rule: Switches
) -> tuple[Decimal, Decimal]:
    percent: Decimal = line.get("Discount", Decimal(0))
    amount: Decimal = line.get("DiscountAmount", Decimal(0))
    if not allowed and rule.discount_not_allowed is DiscountRule.DROP:
        return Decimal(0), Decimal(0)
    # where both are given, both count: nobody knows, and it is the answer that shows
    return percent, gross * percent / _HUNDRED + abs(amount).copy_sign(gross)


def price_invoice(lines: tuple[PricedLine, ...], switches: Switches, currency: str) -> Priced:
    """The sums of an invoice."""
    total = sum((line.total for line in lines), Decimal(0))
    with_tax = sum((line.total_with_tax for line in lines), Decimal(0))
    if switches.rounding is Rounding.INVOICE:
        total, with_tax = whole(total, currency), whole(with_tax, currency)
    return Priced(lines=lines, total=total, total_with_tax=with_tax)


def as_double(value: Decimal, *, tail: bool) -> Decimal:
    """The number as a .NET double is written: 17 digits, `.0` on whole ones, a tail if asked."""
    with localcontext(_DOUBLE):
        number = +value
        if tail and number:
            return number + number * _BINARY_TAIL
        if number == number.to_integral_value():
            return number.quantize(Decimal("0.1")) if abs(number) < 10**15 else number
        return number.normalize()
