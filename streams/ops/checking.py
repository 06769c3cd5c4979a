"""`moment-sync check`: what an integration will need, asked of its books."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from connectors.inspection import Flaw, FlawKind, Needs, NeedsSoFar
from connectors.integrations import DataType, Integration, Language
from connectors.port import Flow, Hold
from connectors.systems import SYSTEMS, load
from schemas.catalogue.catalogue import render, system_name
from schemas.codec import Event, decode
from schemas.events import EntityType
from schemas.failures import Failure
from schemas.wire import Record
from streams.ledger.recorded import customer_numbers, newest_events
from streams.ops.asking import Asker
from streams.ops.ledger_view import LedgerView

EVENTS_READ_MAX: Final = 10_000
"""Of a company and a type, the newest: accounts and products that are in use stand in these."""

EVENTS_A_QUERY: Final = 500

Inspect = Callable[[Integration, Needs, datetime], Flow]

_MAILBOX: Final = re.compile(
    r"[^\s@.]+(?:\.[^\s@.]+)*@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_][\w-]*[^\W_]"
)
_MAIL_WORDS: Final[dict[Language, tuple[str, str]]] = {
    Language.EN: (
        "Notices cannot reach {address}: it is not written as an e-mail address.",
        "Correct `notify` in the settings of the integration.",
    ),
    Language.NB: (
        "Varsler når ikke {address}: det er ikke skrevet som en e-postadresse.",
        "Rett `notify` i innstillingene for integrasjonen.",
    ),
    Language.IS: (
        "Tilkynningar berast ekki til {address}: það er ekki ritað sem netfang.",
        "Leiðréttu `notify` í stillingum tengingarinnar.",
    ),
}


def needs_in_events(view: LedgerView, integration: Integration) -> Needs:
    """Read what the events in the ledger have named so far."""
    so_far = NeedsSoFar()
    company = integration.company
    carried = {EntityType.CUSTOMER: DataType.CUSTOMERS, EntityType.INVOICE: DataType.INVOICES}
    for entity_type, data_type in carried.items():
        if integration.carries(data_type):
            for event in _events(view, company, entity_type):
                so_far.add(event.data)
    if not integration.carries(DataType.CUSTOMERS):
        return so_far.needs()
    return so_far.needs(view.ask(lambda connection: customer_numbers(connection, company)))


def _events(view: LedgerView, company: str, entity_type: EntityType) -> Iterator[Event]:
    before: int | None = None
    for _ in range(0, EVENTS_READ_MAX, EVENTS_A_QUERY):
        query = partial(_newest, company=company, entity_type=entity_type, before=before)
        records, before = view.ask(query)
        for record in records:
            event = decode(record)
            if isinstance(event, Event):
                yield event
        if before is None:
            return


def _newest(
    connection: Any, *, company: str, entity_type: EntityType, before: int | None
) -> tuple[list[Record], int | None]:
    return newest_events(connection, company, entity_type, before, EVENTS_A_QUERY)


async def findings_of(asker: Asker, needs: Needs, now: datetime) -> list[dict[str, Any]]:
    """Inspect one integration. Raises `BooksAwayError` where its books do not answer."""
    integration = asker.integration
    target = SYSTEMS[integration.system].inspect
    found: Any = ()
    if target:
        inspect: Inspect = load(target)
        found = await asker.ask(lambda: inspect(integration, needs, now))
    else:  # whether its books can be reached at all
        identified = await asker.identify()
        found = identified if isinstance(identified, Hold) else ()
    flaws = (
        found if isinstance(found, tuple) else (Flaw(kind=FlawKind.COMPANY, failure=found.failure),)
    )
    return [*(_told(integration, flaw) for flaw in flaws), *_mail(integration)]


def _told(integration: Integration, flaw: Flaw) -> dict[str, Any]:
    entity_type, _, number = flaw.entity.partition("/")
    text, action = in_words(integration, flaw.failure, entity_type, number)
    finding = {
        "integration": integration.id,
        "kind": flaw.kind.value,
        "code": flaw.failure.code.value,
        "entity": flaw.entity,
        "text": text,
        "action": action,
    }
    return {name: value for name, value in finding.items() if value or name != "entity"}


def in_words(
    integration: Integration, failure: Failure, entity_type: str, number: str
) -> tuple[str, str]:
    """The catalogue's words, less that something was not transferred: nothing has been sent."""
    language, system = integration.language.value, integration.system.value
    words = render(
        failure, language=language, system=system, entity_type=entity_type, number=number
    )
    _, mark, rest = words.text.partition(f"{system_name(system, language=language)}: ")
    return (f"{mark}{rest}" if rest else words.text), words.action


def _mail(integration: Integration) -> list[dict[str, Any]]:
    if _MAILBOX.fullmatch(integration.notify):
        return []
    text, action = _MAIL_WORDS[integration.language]
    return [
        {
            "integration": integration.id,
            "kind": FlawKind.MAIL.value,
            "code": "mail-address-form",
            "text": text.format(address=integration.notify),
            "action": action,
        }
    ]
