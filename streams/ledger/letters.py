"""Letters of records that never became a delivery: read, and judged for a replay."""

from typing import Any

import msgspec
from sqlalchemy import Connection, and_, or_, select, update

from schemas.events import EntityType
from schemas.failures import Failure, FailureCode
from schemas.wire import Record
from streams.core.model import Version
from streams.core.replays import Reason, Refusal, vain_refusal
from streams.core.states import OPEN, State
from streams.ledger.arrivals import NewEvent
from streams.ledger.directory import Directory
from streams.ledger.inserting import chunks
from streams.ledger.intake import Repeat, open_again, repeat_of
from streams.ledger.last_states import record_of
from streams.ledger.rows import failure_of, to_json
from streams.ledger.tables import deliveries, inbox, letters

DEAD = "dead"
REPLAYED = "replayed"
DISCARDED = "discarded"

# A newer state that is in the books or on its way there makes an older one stale.
_COUNTS = tuple(
    state.value for state in sorted(OPEN | {State.APPLIED, State.UNCHANGED, State.MANUAL})
)


class StoredLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `letters`. `state`: dead, replayed or discarded; `replays`: those in vain."""

    letter_id: str
    record: Record
    company: str | None
    failure: Failure
    received_at: float
    state: str
    replays: int = 0
    last_failed_at: float | None = None


class Reopening(msgspec.Struct, frozen=True, kw_only=True):
    """A letter whose event can be delivered now. `known`: the event is in the inbox already."""

    event: NewEvent
    known: Repeat | None


def letter_of(row: Any) -> StoredLetter:
    """One row of `letters` as a value."""
    failure = failure_of(row.failure)
    if failure is None:
        raise ValueError(row.letter_id)
    return StoredLetter(
        letter_id=row.letter_id,
        record=record_of(row),
        company=row.company,
        failure=failure,
        received_at=row.received_at,
        state=row.state,
        replays=row.replays,
        last_failed_at=row.last_failed_at,
    )


def load_letters(connection: Connection, ids: list[str]) -> dict[str, StoredLetter]:
    """Letters by their id, whatever their state."""
    found: dict[str, StoredLetter] = {}
    for part in chunks(ids):
        query = select(letters).where(letters.c.letter_id.in_(part))
        found.update({row.letter_id: letter_of(row) for row in connection.execute(query)})
    return found


def judge_letter(
    connection: Connection,
    directory: Directory,
    letter: StoredLetter,
    *,
    edited: bool,
    force: bool,
) -> Reopening | Refusal | Failure:
    """Whether a letter's record can become deliveries now; a failure: it was read in vain again."""
    if letter.state != DEAD:
        return Refusal(reason=Reason.NOT_DEAD, text=f"it is {letter.state} already")
    if (vain := vain_refusal(letter.replays, force=force)) is not None:
        return vain
    event = directory.read_again(letter.record, letter.received_at)
    if isinstance(event, Failure):
        return event
    if edited:
        return Refusal(
            reason=Reason.EDIT_REFUSED,
            text="it never became a delivery: replay it first, then edit what is dead",
        )
    known = repeat_of(connection, event, directory.same_content)
    if known is not None and not known.same:
        return Failure(
            code=FailureCode.EVENT_ID_REUSED,
            parameters={"id": event.ce_id, "source": event.source},
        )
    if known is not None and known.delivered:
        return Refusal(reason=Reason.NOT_DEAD, text="its event was taken since")
    if not event.deliveries:
        return Refusal(
            reason=Reason.SWITCHED_OFF,
            text=f"no integration of {event.company} carries {event.entity_type} data",
        )
    if _is_stale(connection, letter, event):
        return Refusal(reason=Reason.STALE, text="a newer state is in the books or on its way")
    return Reopening(event=event, known=known)


def still_refusal(failure: Failure) -> Refusal:
    """What is said of a letter that was read in vain again."""
    told = ", ".join(f"{name} {value}" for name, value in failure.parameters.items())
    return Refusal(reason=failure.code.value, text=f"it still fails: {failure.code} ({told})")


def _is_stale(connection: Connection, letter: StoredLetter, event: NewEvent) -> bool:
    """A customer or project must not be set back; of invoices, the booking rules decide."""
    if event.entity_type == EntityType.INVOICE:
        return False
    place = letter.record
    later = or_(
        inbox.c.received_at > letter.received_at,
        and_(
            inbox.c.topic == place.topic,
            inbox.c.partition == place.partition,
            inbox.c.offset > place.offset,
        ),
    )
    query = (
        select(inbox.c.sequence)
        .join(deliveries, deliveries.c.event_pk == inbox.c.event_pk)
        .where(
            inbox.c.company == event.company,
            inbox.c.entity_type == event.entity_type,
            inbox.c.number == event.number,
            deliveries.c.state.in_(_COUNTS),
            later,
        )
    )
    ours = Version(0, event.sequence)
    return any(Version(1, row.sequence).newer_than(ours) for row in connection.execute(query))


def reopen(connection: Connection, letter_id: str, reopening: Reopening) -> None:
    """Open the deliveries of a letter's event; the letter is done with."""
    open_again(connection, reopening.event, reopening.known)
    set_state(connection, letter_id, REPLAYED)


def count_in_vain(connection: Connection, letter_id: str, failure: Failure, at: float) -> None:
    """A letter was read again and still is nothing that could be delivered."""
    connection.execute(
        update(letters)
        .where(letters.c.letter_id == letter_id)
        .values(replays=letters.c.replays + 1, failure=to_json(failure), last_failed_at=at)
    )


def set_state(connection: Connection, letter_id: str, state: str) -> None:
    """Take a letter off the dead ones."""
    connection.execute(update(letters).where(letters.c.letter_id == letter_id).values(state=state))
