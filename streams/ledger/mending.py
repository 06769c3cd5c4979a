"""Replay and discard: what a person does about single deliveries (design section 7)."""

import msgspec

from schemas.outcomes import OutcomeKind
from streams.core.model import entity_key
from streams.core.replays import Reason, Refusal, discard_refusal
from streams.core.states import State
from streams.ledger.act import REFUSED, Act
from streams.ledger.changes import Changes
from streams.ledger.inserting import insert_new
from streams.ledger.letters import (
    DEAD,
    DISCARDED,
    StoredLetter,
    count_in_vain,
    load_letters,
    reopen,
    set_state,
)
from streams.ledger.queries import said_about
from streams.ledger.release import parked_keys, without_waited
from streams.ledger.replays import UNKNOWN, Asked, Judged, judge, load_by_id
from streams.ledger.rows import StoredDelivery
from streams.ledger.tables import signals

NONE_NAMED = Refusal(
    reason=Reason.UNKNOWN,
    text="it names no deliveries: `moment-sync deadletters` makes commands of a filter",
)


def replay(act: Act) -> None:
    """Replay what may be; each id has a row in the audit. At most 500, in one transaction."""
    data = act.command.data
    if not data.deliveries:
        act.tell(REFUSED, integration=data.integration, refusal=NONE_NAMED)
    asked = Asked(
        ids=_left(act),
        edit=data.edit,
        force=data.force,
        replays=dict(zip(data.deliveries, data.replays, strict=False)),
    )
    changes = Changes(act.rules, act.now)
    for judged in judge(act.connection, act.rules, act.directory, asked):
        if _is_elsewhere(act, judged.delivery):
            continue
        if judged.refusal is not None:
            _refuse(act, judged.delivery_id, judged.delivery, judged.refusal)
            if judged.still is not None:
                count_in_vain(act.connection, judged.delivery_id, judged.still, act.now.wall)
        elif judged.delivery is not None:
            _replay(act, changes, judged, judged.delivery)
        elif judged.letter is not None and judged.reopening is not None:
            _replay_letter(act, judged, judged.letter)
    changes.flush(act.connection)


def _left(act: Act) -> tuple[str, ...]:
    """The deliveries that this command has not come to yet, in its order, each once."""
    ids = tuple(dict.fromkeys(act.command.data.deliveries))
    if not act.progress:
        return ids
    done = {said.delivery_id for said in said_about(act.connection, ids, act.command.id)}
    return tuple(name for name in ids if name not in done)


def _is_elsewhere(act: Act, delivery: StoredDelivery | None) -> bool:
    """Whether a delivery is another worker's; the command then goes on to that one.

    So it is where partitions were added after the delivery was opened: its lane stays what it
    was, the command comes under the customer's new one.
    """
    if delivery is None or delivery.lane in act.own:
        return False
    if act.lane is None:
        act.go_on_in(delivery.lane)
    return True


def _refuse(act: Act, name: str, delivery: StoredDelivery | None, refusal: Refusal) -> None:
    act.tell(
        REFUSED,
        delivery_id=name,
        integration=delivery.integration if delivery is not None else None,
        refusal=refusal,
    )


def _replay(act: Act, changes: Changes, judged: Judged, delivery: StoredDelivery) -> None:
    changes.move(
        delivery,
        State.READY,
        replays=delivery.replays + 1,
        replay_of=delivery.final_id,
        rewrite=True,
        attempts=0,
        retried_s=0.0,
        posts=0,
        absences=0,
        intent=None,
        send_by=None,
        failure=None,
        told=without_waited(delivery.told),
        settled_at=None,
        last_failed_at=act.now.wall,  # what was read of the books before says nothing from here on
        edited=judged.edited or delivery.edited,
    )
    _ask_parents_again(act, changes, judged, delivery)
    act.woken.add(delivery.integration)
    act.tell(
        "replayed",
        delivery_id=delivery.delivery_id,
        integration=delivery.integration,
        replay=delivery.replays + 1,
        replayOf=delivery.final_id,
        failure=delivery.failure,
        attempts=delivery.attempts,
        edit=judged.changes or None,
    )


def _ask_parents_again(
    act: Act, changes: Changes, judged: Judged, delivery: StoredDelivery
) -> None:
    """A no counts for nothing any more: the claim finds the gate unasked (design 5.4)."""
    integration = act.rules.integration(delivery.integration)
    if integration is None:
        return
    whole = msgspec.structs.replace(delivery, edited=judged.edited or delivery.edited)
    for parent in act.rules.parents(act.rules.event(whole), integration):
        if not parent.optional:
            key = entity_key(delivery.integration, parent.entity_type, parent.number)
            changes.entity(key, delivery.lane, asked_no_at=None)


def _replay_letter(act: Act, judged: Judged, letter: StoredLetter) -> None:
    reopening = judged.reopening
    if reopening is None:
        return
    reopen(act.connection, letter.letter_id, reopening)
    opened = [one.delivery_id for one in reopening.event.deliveries]
    act.woken.update(one.integration for one in reopening.event.deliveries)
    act.tell(
        "replayed", delivery_id=letter.letter_id, opened=opened, failure=letter.failure, replay=1
    )
    for one in reopening.event.deliveries:
        act.tell("opened", delivery_id=one.delivery_id, integration=one.integration)


def discard(act: Act) -> None:
    """Discard what may be; each id has a row in the audit. At most 500, in one transaction."""
    ids = list(_left(act))
    if not act.command.data.deliveries:
        act.tell(REFUSED, integration=act.command.data.integration, refusal=NONE_NAMED)
    found = load_by_id(act.connection, ids)
    unsent = load_letters(act.connection, [name for name in ids if name not in found])
    changes = Changes(act.rules, act.now)
    moved: list[StoredDelivery] = []
    for name in ids:
        delivery, letter = found.get(name), unsent.get(name)
        if _is_elsewhere(act, delivery):
            continue
        refusal = _discard_refusal(delivery, letter)
        if refusal is not None:
            _refuse(act, name, delivery, refusal)
        elif delivery is not None:
            _discard(act, changes, delivery)
            moved.append(delivery)
        elif letter is not None:
            set_state(act.connection, name, DISCARDED)
            act.tell("discarded", delivery_id=name, failure=letter.failure)
    changes.flush(act.connection)
    _signal_children(act, moved)


def _discard_refusal(
    delivery: StoredDelivery | None, letter: StoredLetter | None
) -> Refusal | None:
    if delivery is not None:
        return discard_refusal(delivery.state)
    if letter is None:
        return UNKNOWN
    if letter.state == DEAD:
        return None
    return Refusal(reason=Reason.NOT_DEAD, text=f"it is {letter.state} already")


def _discard(act: Act, changes: Changes, delivery: StoredDelivery) -> None:
    replaces = delivery.final_id if delivery.state is State.DEAD else delivery.replay_of
    changes.move(delivery, State.DISCARDED)
    changes.tell(
        msgspec.structs.replace(delivery, replay_of=replaces),
        OutcomeKind.DISCARDED,
    )
    act.tell(
        "discarded",
        delivery_id=delivery.delivery_id,
        integration=delivery.integration,
        was=delivery.state,
        replayOf=replaces,
        failure=delivery.failure,
    )


def _signal_children(act: Act, moved: list[StoredDelivery]) -> None:
    """Whoever waited for these is looked at again by the next tick, in its own bounded chunks."""
    lanes = {delivery.entity_key: delivery.lane for delivery in moved}
    rows = [
        {"lane": lanes[key], "entity_key": key, "after": 0}
        for key in parked_keys(act.connection, sorted(lanes))
    ]
    if rows:
        act.connection.execute(insert_new(act.connection, signals), rows)
