"""Reading books page by page, to hold them against the ledger: what a connector offers for it.

All of it only asks. Each method that returns a `Flow` is a question flow of its own, run by
`Runner.ask`; nothing is kept between two pages but the cursor.
"""

from datetime import date
from typing import Any, Protocol

import msgspec

from connectors.integrations import Integration
from connectors.port import Flow
from schemas.events import EntityType
from schemas.failures import Reference


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What tells two invoices of one number apart. `customer` is written as numbers compare.

    `negative`: money is given back. None or empty where it is not known.
    """

    customer: str = ""
    negative: bool | None = None
    day: date | None = None

    def fit(self, other: "Facts") -> bool:
        """Whether nothing that both know says that they are two different ones."""
        unlike = None not in (self.negative, other.negative) and self.negative != other.negative
        return self.same_customer(other) and not unlike

    def same_customer(self, other: "Facts") -> bool:
        """Whether they may be of one customer."""
        return not self.customer or not other.customer or self.customer == other.customer


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One record as the books have it.

    `numbers`: the numbers in Moment that it may stand for, likeliest first; empty for what is
    none of ours. `marked`: it says itself that we made it. `alike`: it is the kind of record that
    we make. `undone`: deleted, credited or reversed. `raw`: what came, for `differences`.
    """

    numbers: tuple[str, ...]
    reference: Reference
    facts: Facts = Facts()
    marked: bool = False
    alike: bool = True
    undone: bool = False
    raw: Any = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page. `next` is None behind the last one.

    `cut`: the books may hold more than they give out through pages.
    """

    records: tuple[Seen, ...]
    next: str | None = None
    cut: bool = False


Pair = tuple[bytes, Seen]
"""The content that was applied last, and the record that should hold it."""


class BooksReader(Protocol):
    """What a connector offers for reading its books."""

    def page(
        self,
        integration: Integration,
        entity_type: EntityType,
        since: date | None,
        cursor: str | None,
    ) -> Flow:
        """Read one page: a `Page`, or a `Retry`, `Hold` or `Refused`.

        `since` may spare invoices dated before it; whether it does is the connector's matter.
        """

    def differences(
        self, integration: Integration, entity_type: EntityType, pairs: tuple[Pair, ...]
    ) -> Flow:
        """Compare: for each pair what differs, or a verdict.

        A `Change` has Moment's name of the field, what the books have (`from_`), and what was
        applied (`to`). Fields that are empty in Moment are not compared.
        """

    def facts(self, entity_type: EntityType, content: bytes) -> Facts:
        """Read the facts of applied content. Unknown content has none."""
