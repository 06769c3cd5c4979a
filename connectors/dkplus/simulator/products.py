"""Products in dk (contract dkplus A5). Pure. Item codes are lower case, whatever was sent."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.dkplus.simulator import members, paging
from connectors.dkplus.simulator.books import Books, Record
from connectors.dkplus.simulator.customers import duplicate
from connectors.dkplus.simulator.replies import Reply, invalid, missing

_HUNDRED = Decimal(100)
FILTERS: paging.Filters = {"inactive": ("Inactive", "flag"), **paging.MODIFIED}
# rate -> a code of dk's; the real codes differ by company
_TAX_CODES = {Decimal(24): "u1", Decimal(11): "u2", Decimal(0): "u0"}


def create_product(books: Books, body: Mapping[str, Any], now: datetime) -> Reply:
    """POST /product: 200 with the record. Over-long texts are cut without a word."""
    known, wrong = members.read_body(body, members.PRODUCT, "value")
    if wrong:
        return invalid(wrong)
    code = known.get("ItemCode", "").strip()[: books.switches.limits.item_code or None].lower()
    if not code:
        return missing("value.ItemCode")
    if code in books.products:
        return duplicate(books.switches.duplicate_product, "Product")
    record = {**_empty_product(books), **_product_fields(books, known), "ItemCode": code}
    record["RecordID"] = books.new_record_id()
    _put_product(books, code, record, now)
    return Reply(body=record)


def update_product(books: Books, code: str, body: Mapping[str, Any], now: datetime) -> Reply:
    """PUT /product/{itemcode}: partial."""
    held = books.products.get(code.lower())
    if held is None:
        return paging.not_found(books)
    known, wrong = members.read_body(body, members.PRODUCT, "value")
    if wrong:
        return invalid(wrong)
    fields = _product_fields(books, known)
    for fixed in ("RecordID", "ItemCode"):
        fields.pop(fixed, None)
    _put_product(books, code.lower(), {**held, **fields}, now)
    return Reply(body=books.products[code.lower()])


def read_product(books: Books, code: str) -> Reply:
    """GET /product/{itemcode}, in any letter case."""
    record = books.products.get(code.lower())
    return paging.not_found(books) if record is None else Reply(body=record)


def _empty_product(books: Books) -> Record:
    return {
        **dict.fromkeys(("Description", "Description2", "Group", "UnitCode"), ""),
        **dict.fromkeys(("SalesLedgerCode", "PurchaseTaxCode", "PurchaseLedgerCode"), ""),
        **dict.fromkeys(("Inactive", "ShowItemInWebShop", "Deleted"), False),
        **dict.fromkeys(("AllowDiscount", "AllowNegativeInventiry"), True),
        **dict.fromkeys(("CostPrice", "PurchasePrice", "Discount", "UnitPrice1"), Decimal(0)),
        "TaxPercent": books.switches.bare_product_vat,
        "CurrencyCode": books.config.currency,
    }


def _product_fields(books: Books, known: Record) -> Record:
    fields = dict(known)
    nested = fields.pop("Price1", {})
    for flat, deep in (("UnitPrice1", "UnitPrice"), ("UnitPrice1WithTax", "UnitPriceWithTax")):
        price = members.as_decimal(nested.get(deep))
        if price is not None:
            fields.setdefault(flat, price)
    if "Description" in fields:
        fields["Description"] = fields["Description"][: books.switches.limits.description or None]
    return fields


def _put_product(books: Books, code: str, record: Record, now: datetime) -> None:
    factor = 1 + record["TaxPercent"] / _HUNDRED
    held = books.products.get(code, {})
    if record.get("UnitPrice1WithTax") != held.get("UnitPrice1WithTax"):
        record["UnitPrice1"] = record["UnitPrice1WithTax"] / factor
    record["UnitPrice1WithTax"] = record["UnitPrice1"] * factor
    record["SalesTaxCode"] = _TAX_CODES.get(record["TaxPercent"], "u1")
    record["Modified"] = books.clock(now)
    books.put("product", code, record)


def page_products(
    books: Books, params: Mapping[str, str], query: Mapping[str, str], url: str
) -> Reply:
    """GET /product/page/{page}/{count} with its filters."""
    kept = paging.filtered(books.products.values(), query, FILTERS)
    return kept if isinstance(kept, Reply) else paging.paged(kept, params, query, url)
