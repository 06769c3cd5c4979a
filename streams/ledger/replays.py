"""What a replay would do, delivery by delivery: read, judged, nothing changed.

The executor and the command line's check both ask here, so that what is told before is what is
done.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from schemas.content import data_tree, encode_data
from schemas.edits import EditValue, apply_edits, canonical_path, parse_path
from schemas.events import Entity, EntityType
from schemas.failures import Change, Failure, Reference, plain
from streams.core.model import Candidate, EntityRow
from streams.core.replays import Reason, Refusal, replay_refusal, since_refusal
from streams.core.states import State
from streams.ledger.access import load_siblings
from streams.ledger.directory import Directory
from streams.ledger.inserting import chunks
from streams.ledger.letters import (
    Reopening,
    StoredLetter,
    judge_letter,
    load_letters,
    still_refusal,
)
from streams.ledger.rows import (
    StoredDelivery,
    delivery_of,
    entity_columns,
    entity_of,
    reference_of,
    stored,
)
from streams.ledger.rules import Rules
from streams.ledger.tables import bookings, books, deliveries, entities

UNKNOWN = Refusal(reason=Reason.UNKNOWN, text="the ledger knows no delivery or letter of this id")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be replayed, and how. `replays`: by id, how many there were when it was asked."""

    ids: tuple[str, ...]
    edit: Mapping[str, EditValue] = {}
    force: bool = False
    replays: Mapping[str, int] = {}


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One id: refused, or what its replay does.

    Exactly one of `delivery` and `letter` is set where the id is known. `edited`: the whole that
    takes the event's place, with what it changes. `still`: why a letter is refused that was read
    in vain again.
    """

    delivery_id: str
    refusal: Refusal | None = None
    delivery: StoredDelivery | None = None
    letter: StoredLetter | None = None
    reopening: Reopening | None = None
    edited: bytes | None = None
    changes: tuple[Change, ...] = ()
    still: Failure | None = None

    @property
    def replays(self) -> int:
        """How often it was replayed."""
        one = self.delivery or self.letter
        return 0 if one is None else one.replays


def load_by_id(connection: Connection, ids: list[str]) -> dict[str, StoredDelivery]:
    """Deliveries with their events, by delivery id."""
    found: dict[str, StoredDelivery] = {}
    for part in chunks(ids):
        for row in connection.execute(stored.where(deliveries.c.delivery_id.in_(part))):
            found[row.delivery_id] = delivery_of(row)
    return found


def judge(connection: Connection, rules: Rules, directory: Directory, asked: Asked) -> list[Judged]:
    """Judge every id, in the order given, each once. Changes nothing."""
    ids = list(dict.fromkeys(asked.ids))
    found = load_by_id(connection, ids)
    unsent = load_letters(connection, [i for i in ids if i not in found])
    keys = sorted({d.entity_key for d in found.values()})
    rows = _entity_rows(connection, keys)
    siblings = load_siblings(connection, keys)
    booked = _booked(connection, list(found.values()), rows)
    judged = []
    for delivery_id in ids:
        delivery, letter = found.get(delivery_id), unsent.get(delivery_id)
        if delivery is not None:
            key = delivery.entity_key
            since = since_refusal(delivery.replays, asked.replays.get(delivery_id))
            refusal = since or replay_refusal(
                _candidate(delivery),
                rows.get(key, EntityRow(key=key)),
                [s for s in siblings.get(key, ()) if s.ordinal != delivery.ordinal],
                booked=booked.get(key),
                replays=delivery.replays,
                force=asked.force,
            )
            judged.append(_with_edit(rules, delivery, refusal, asked.edit))
        elif letter is not None:
            judged.append(_judge_letter(connection, directory, letter, asked))
        else:
            judged.append(Judged(delivery_id=delivery_id, refusal=UNKNOWN))
    return judged


def _candidate(delivery: StoredDelivery) -> Candidate:
    return Candidate(
        ordinal=delivery.ordinal,
        delivery_id=delivery.delivery_id,
        entity_type=delivery.entity_type,
        number=delivery.number,
        state=delivery.state,
        sequence=delivery.sequence,
        rewrite=True,
    )


def _judge_letter(
    connection: Connection, directory: Directory, letter: StoredLetter, asked: Asked
) -> Judged:
    name = letter.letter_id
    answer: Reopening | Refusal | Failure | None
    answer = since_refusal(letter.replays, asked.replays.get(name))
    if answer is None:
        answer = judge_letter(
            connection, directory, letter, edited=bool(asked.edit), force=asked.force
        )
    if isinstance(answer, Reopening):
        return Judged(delivery_id=name, letter=letter, reopening=answer)
    if isinstance(answer, Refusal):
        return Judged(delivery_id=name, letter=letter, refusal=answer)
    return Judged(delivery_id=name, letter=letter, refusal=still_refusal(answer), still=answer)


def _with_edit(
    rules: Rules,
    delivery: StoredDelivery,
    refusal: Refusal | None,
    edit: Mapping[str, EditValue],
) -> Judged:
    judged = Judged(delivery_id=delivery.delivery_id, delivery=delivery, refusal=refusal)
    if refusal is not None or not edit:
        return judged
    before = rules.event(delivery)
    after = apply_edits(before, edit)
    if isinstance(after, Failure):
        reason = after.parameters.get("reason", "")
        return msgspec.structs.replace(
            judged,
            refusal=Refusal(reason=Reason.EDIT_REFUSED, text=f"{after.field}: {reason}"),
        )
    return msgspec.structs.replace(
        judged, edited=encode_data(after), changes=_changes(before, after, edit)
    )


def _changes(before: Entity, after: Entity, edit: Mapping[str, EditValue]) -> tuple[Change, ...]:
    old, new = data_tree(before), data_tree(after)
    return tuple(
        Change(field=canonical_path(path), from_=_at(old, path), to=_at(new, path)) for path in edit
    )


def _at(tree: Any, path: str) -> str | None:
    """The member at a path as text; None where it is empty."""
    for step in parse_path(path) or ():
        if isinstance(step, int):
            tree = tree[step] if isinstance(tree, list | tuple) and step < len(tree) else None
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
    if tree is None:
        return None
    if isinstance(tree, Decimal):
        return plain(tree)
    return tree if isinstance(tree, str) else msgspec.json.encode(tree).decode()


def _entity_rows(connection: Connection, keys: list[str]) -> dict[str, EntityRow]:
    found: dict[str, EntityRow] = {}
    for part in chunks(keys):
        query = entity_columns.where(entities.c.entity_key.in_(part))
        found.update({row.entity_key: entity_of(row) for row in connection.execute(query)})
    return found


def _booked(
    connection: Connection, found: list[StoredDelivery], rows: dict[str, EntityRow]
) -> dict[str, Reference]:
    """What the books call the invoices of these numbers, by the key of the entity.

    Booked is kept per books, so another integration may have done it.
    """
    invoices = [d for d in found if d.entity_type is EntityType.INVOICE]
    references: dict[str, Reference] = {}
    for delivery in invoices:
        row = rows.get(delivery.entity_key)
        if row is not None and row.in_books and row.reference is not None:
            references[delivery.entity_key] = row.reference
    by_place = {(d.integration, d.number): d.entity_key for d in invoices}
    for part in chunks(sorted({d.number for d in invoices})):
        query = (
            select(books.c.integration, bookings.c.number, bookings.c.reference)
            .join(books, books.c.identity == bookings.c.books)
            .where(
                books.c.integration.in_(sorted({d.integration for d in invoices})),
                bookings.c.number.in_(part),
            )
        )
        for found_row in connection.execute(query):
            key = by_place.get((found_row.integration, found_row.number))
            reference = reference_of(found_row.reference)
            if key is not None and reference is not None:
                references[key] = reference
    return references


def is_dead(judged: Judged) -> bool:
    """Whether the id names something dead, whatever a replay of it would come to."""
    if judged.delivery is not None:
        return judged.delivery.state is State.DEAD
    return judged.letter is not None and judged.letter.state == State.DEAD.value
