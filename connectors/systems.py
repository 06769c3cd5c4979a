"""The accounting systems that there are. A new one is registered here, and nowhere else.

`docs/adding-a-connector.md` tells how. A connector is named, not imported: whoever needs it loads
it, and the systems do not know each other.
"""

import importlib
from enum import StrEnum
from typing import Any, Final

import msgspec


class System(StrEnum):
    """The accounting systems that are written to, by the word that settings and outcomes use."""

    SPAREBANK1 = "sparebank1"
    DKPLUS = "dkplus"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a system bears. The defaults are careful: nothing is known of a new one.

    `timeout_s`: a call's deadline. `settle_s`: how long it may still be at work on a request that
    was given up. `bookings`: invoices in flight per company over all workers. `in_flight`: the
    ceiling of an integration's adaptive bound.
    """

    timeout_s: float = 60.0
    settle_s: float = 60.0
    bookings: int = 1
    in_flight: int = 4


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """One system: where its parts are (`module:attribute`), and what its settings are.

    `connector`: a class of `connectors.port.Connector`, made without arguments. `inspect`, for
    `moment-sync check`, and `books`, a class of `connectors.books_reading.BooksReader` for
    `moment-sync verify`, may be empty. `customer_with_invoice`: its invoices need the customer's
    last event.

    Settings of one that brings no table of its own (`streams/integration_table.py`): `base_url` is
    the contract's, None where each integration names it, and must end with `base_path`. `token`
    says in words what the secret behind `token_file` or `token_env` is, empty where there is none.
    `options`: further keys, each with the form of its text; they reach the connector as
    `Integration.options`.
    """

    connector: str
    inspect: str = ""
    books: str = ""
    customer_with_invoice: bool = False
    base_url: str | None = None
    base_path: str = ""
    token: str = ""
    options: dict[str, str] = {}
    limits: Limits = Limits()


SYSTEMS: Final[dict[System, Registration]] = {
    System.SPAREBANK1: Registration(
        connector="connectors.sparebank1.connector:SpareBank1",
        inspect="connectors.sparebank1.inspection:inspect",
        books="connectors.sparebank1.books_reading:SpareBank1Books",
    ),
    System.DKPLUS: Registration(
        connector="connectors.dkplus.connector:DkPlus",
        inspect="connectors.dkplus.inspection:inspect",
        books="connectors.dkplus.books_reading:DkPlusBooks",
        customer_with_invoice=True,  # the kennitala stands on the invoice
    ),
}


def load(target: str) -> Any:
    """The attribute that `module:attribute` names. Raises what its module raises."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
