"""The books of DK+, read page by page and held against what was applied.

Pages are bare arrays, counted from 1, with a `Link` header that may name the last one
(contract dkplus A1). Drafts, which have no number, are no bookings (A11.3).
"""

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from connectors.books_reading import Facts, Page, Pair, Seen
from connectors.dkplus import bookings, kennitala, responses, wire
from connectors.dkplus.amounts import sign_of
from connectors.integrations import Integration
from connectors.port import Answer, Call, Flow, Request
from schemas.events import EntityType
from schemas.failures import Change, Reference, plain

PAGE_RECORDS: Final = 500
"""The least that has been seen in practice for whole tables (contract dkplus A1)."""

PAGED_AT_MOST: Final = 50_000
"""Records that paging has been seen to give out at most (contract dkplus A1)."""

_LAST: Final = re.compile(r'/(\d{1,9})/\d+[^>,]*>\s*;[^,]*\brel="?last\b')
_ISO_DAY: Final = 10  # characters of a date before its time


class _InvoiceRow(wire.InvoiceRecord, frozen=True):
    """The head of a sales invoice, as lists show it."""

    invoice_date: str | None = None


_ROWS: Final[dict[EntityType, msgspec.json.Decoder[Any]]] = {
    EntityType.CUSTOMER: msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal),
    EntityType.PROJECT: msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal),
    EntityType.INVOICE: msgspec.json.Decoder(list[_InvoiceRow]),
}


def page_request(
    entity_type: EntityType, page: int, since: date | None, count: int = PAGE_RECORDS
) -> Request:
    """One page of customers, projects or invoices (contract dkplus A2, A3, A4.2)."""
    path = "/sales/invoice" if entity_type is EntityType.INVOICE else f"/{entity_type.value}"
    if entity_type is EntityType.INVOICE and since is not None:
        # createdAfter means one thing or another (contract dkplus A4.2); this route does not.
        return Request(method="GET", path=f"{path}/date/{since.isoformat()}/{page}/{count}")
    return Request(method="GET", path=f"{path}/page/{page}/{count}")


class DkPlusBooks:
    """Implements `connectors.books_reading.BooksReader`."""

    def page(
        self,
        integration: Integration,
        entity_type: EntityType,
        since: date | None,
        cursor: str | None,
    ) -> Flow:
        """Read one page: a `Page`, or a verdict."""
        del integration
        return responses.question(_page(entity_type, since, int(cursor or 1)))

    def differences(
        self, integration: Integration, entity_type: EntityType, pairs: tuple[Pair, ...]
    ) -> Flow:
        """Compare: for each pair what differs. Asks nothing more of the books."""
        del integration
        yield from ()
        differ = _invoice_differs if entity_type is EntityType.INVOICE else _record_differs
        return tuple(differ(_applied(entity_type, content), seen) for content, seen in pairs)

    def facts(self, entity_type: EntityType, content: bytes) -> Facts:
        """Read the facts of applied content. Unknown content has none."""
        members = _applied(entity_type, content) if entity_type is EntityType.INVOICE else {}
        asked = _asked(members)
        if asked is None:
            return Facts()
        return Facts(
            customer=_comparable(asked.customer),
            negative=_negative(asked.net),
            day=_day(str(members.get("Date", ""))),
        )


def _page(entity_type: EntityType, since: date | None, number: int) -> Flow:
    request = page_request(entity_type, number, since)
    answer = yield Call(request)
    if not isinstance(answer, Answer):
        return responses.failed_read(answer, None)
    rows = wire.decoded(answer.body, _ROWS[entity_type]) if answer.ok else None
    if responses.says_none(answer):
        rows = []
    if rows is None:
        return responses.failed_read(answer, None)
    seen = tuple(_SEEN[entity_type](row) for row in rows)
    last = _LAST.search(answer.headers.get("link", ""))
    # A short page may be one that was capped: without a Link the end is an empty page.
    over = not rows or (last is not None and number >= int(last[1]))
    full = number * PAGE_RECORDS
    return Page(
        records=tuple(one for one in seen if one is not None),
        next=None if over else str(number + 1),
        cut=over and full >= PAGED_AT_MOST,
    )


# --- a record as what it may be of ours ----------------------------------------------------------


def _record(row: dict[str, Any]) -> Seen:
    """A customer or project: its number may be ours with a dash in it (contract dkplus A11.7)."""
    number = wire.text_of(row.get("Number"))
    return Seen(
        numbers=(number, *kennitala.written_otherwise(number)) if number else (),
        reference=Reference(id=number, number=number),
        undone=row.get("Deleted") is True,
        raw=row,
    )


def _invoice(row: _InvoiceRow) -> Seen | None:
    number, reference = wire.text_of(row.number), wire.text_of(row.reference)
    if not number:
        return None
    total = row.total_amount if row.total_amount_with_tax is None else row.total_amount_with_tax
    return Seen(
        numbers=(reference,) if reference else (),
        reference=bookings.reference_of(row),
        facts=Facts(
            customer=_comparable(wire.text_of(row.c_number)),
            negative=None if total is None else _negative(total),
            day=_day(row.invoice_date or ""),
        ),
        raw=row,
    )


_SEEN: Final[dict[EntityType, Any]] = {
    EntityType.CUSTOMER: _record,
    EntityType.PROJECT: _record,
    EntityType.INVOICE: _invoice,
}


def _negative(total: Decimal) -> bool | None:
    sign = sign_of(total)
    return None if sign == 0 else sign < 0


def _comparable(customer: str) -> str:
    """A customer number so that two of the same ten digits are equal."""
    return kennitala.digits_of(customer) or customer.casefold()


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said[:_ISO_DAY])
    except ValueError:
        return None


# --- what differs --------------------------------------------------------------------------------

_NAMES: Final = {
    "Name": "name",
    "Blocked": "status",
    "SSNumber": "organisationNumber",
    "Phone": "phone",
    "Address1": "address.line1",
    "Address2": "address.line2",
    "ZipCode": "address.postalCode",
    "City": "address.city",
    "CountryCode": "countryCode",
    "CustomerToBill": "customerNumber",
}


def _applied(entity_type: EntityType, content: bytes) -> dict[str, Any]:
    """The members of applied content; none where it cannot be read."""
    try:
        members = msgspec.json.decode(content).get(entity_type.value)
    except (msgspec.MsgspecError, AttributeError):
        return {}
    return members if isinstance(members, dict) else {}


def _record_differs(members: dict[str, Any], seen: Seen) -> tuple[Change, ...]:
    """Members that DK+ does not give back are not known to differ (contract dkplus A2)."""
    found = []
    for member, name in _NAMES.items():
        ours, there = members.get(member), seen.raw.get(member)
        if ours in (None, "") or member not in seen.raw or _same(member, ours, there):
            continue
        found.append(Change(field=name, from_=_shown(there), to=_shown(ours)))
    return tuple(found)


def _same(member: str, ours: Any, there: Any) -> bool:
    if isinstance(ours, bool):
        return bool(there) is ours
    if member in ("SSNumber", "CustomerToBill"):
        return kennitala.same_number(str(ours), wire.text_of(there))
    return str(ours).strip() == wire.text_of(there)


def _shown(value: Any) -> str | None:
    if isinstance(value, bool):
        return "blocked" if value else "not blocked"
    return wire.text_of(value) or None


def _invoice_differs(members: dict[str, Any], seen: Seen) -> tuple[Change, ...]:
    """Customer, and the total by the rule that tells a hit (contract dkplus A11.3)."""
    asked, row = _asked(members), seen.raw
    if asked is None:
        return ()
    found = []
    there = wire.text_of(row.c_number)
    if not kennitala.same_number(there, asked.customer):
        found.append(Change(field="customerNumber", from_=there or None, to=asked.customer))
        asked = msgspec.structs.replace(asked, customer=there)
    if bookings.judge([row], asked) is None:
        with_vat = asked.gross is not None and row.total_amount_with_tax is not None
        ours = asked.gross if with_vat and asked.gross is not None else asked.net
        theirs = row.total_amount_with_tax if with_vat else row.total_amount
        field = "totalInclVat" if with_vat else "totalExclVat"
        shown = plain(theirs) if theirs is not None else None
        found.append(Change(field=field, from_=shown, to=plain(ours)))
    return tuple(found)


def _asked(members: dict[str, Any]) -> bookings.Asked | None:
    """What the booking asked for, told from its applied content; None where it cannot be."""
    try:
        lines = [_Line.of(line) for line in members["Lines"]]
        rate = Decimal(members["Exchange"])
        known = all(line.percent is not None or not line.net for line in lines)
        return bookings.Asked(
            reference=members["Reference"],
            customer=members["Customer"],
            net=sum((line.net for line in lines), Decimal(0)),
            gross=sum((line.gross for line in lines), Decimal(0)) if known else None,
            lines=len(lines),
            currency=members["Currency"],
            rate=rate or None,
        )
    except (KeyError, TypeError, InvalidOperation):
        return None


class _Line(msgspec.Struct, frozen=True):
    """One line of applied content."""

    net: Decimal
    percent: Decimal | None

    @classmethod
    def of(cls, line: dict[str, Any]) -> "_Line":
        """Read one; raises what `_asked` catches."""
        discount = 1 - Decimal(line["Discount"]) / 100
        net = Decimal(line["Quantity"]) * Decimal(line["Price"]) * discount
        return cls(net, None if line["Vat"] is None else Decimal(line["Vat"]))

    @property
    def gross(self) -> Decimal:
        """With its VAT, not rounded."""
        return self.net * (1 + (self.percent or Decimal(0)) / 100)
