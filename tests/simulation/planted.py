"""Bugs put in on purpose, one at a time: what the simulation has to find, or it proves nothing.

Each is a small change of one function or constant of the core, the ledger or the dispatch.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from connectors.runner import Runner
from schemas.events import EntityType
from streams import attempts, intake, tenants
from streams.attempts import Performer
from streams.core import conclude, model, order
from streams.core.conclude import What
from streams.core.states import OPEN
from streams.dispatch import Dispatcher
from streams.ledger import access, changes, claim, intents, offsets, release, settle, timers
from streams.ledger import intake as ledger_intake
from streams.ledger.engine import Operation
from streams.ledger.event_rows import known_events
from streams.ledger.lanes import Wait

replace = msgspec.structs.replace
Undo = tuple[Any, str, Any]


class _AnyEpoch(dict[int, int]):
    """Epochs that are always the right ones."""

    class _Right:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]  # equal to all, so like none

    def get(self, lane: int, default: Any = None) -> Any:
        del lane, default
        return self._Right()


def _gate_ignored() -> list[Undo]:
    return [(order, "closed", lambda _views: None)]


def _epoch_not_checked() -> list[Undo]:
    return [
        (claim, "owned", lambda _connection, epochs: frozenset(epochs)),
        (timers, "owned", lambda _connection, epochs: frozenset(epochs)),
        (intents, "epochs_now", lambda _connection, _lanes: _AnyEpoch()),
        (settle, "epochs_now", lambda _connection, _lanes: _AnyEpoch()),
    ]


def _failed_look_up_is_absence() -> list[Undo]:
    real = conclude._after_look_up

    def after(standing: Any, result: Any, policy: Any, random: float) -> Any:
        absent = replace(result, what=What.ABSENT) if result.what is What.RETRY else result
        return real(standing, absent, policy, random)

    return [(conclude, "_after_look_up", after)]


def _intent_after_the_send() -> list[Undo]:
    real = Performer._intend

    async def intend(self: Performer, delivery: Any, intent: Any) -> float:
        late = asyncio.ensure_future(real(self, delivery, intent))
        late.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self.now().elapsed + 5.0

    return [(Performer, "_intend", intend)]


def _one_absence_is_enough() -> list[Undo]:
    return [(conclude, "ABSENCES_NEEDED", 1)]


def _absences_at_once() -> list[Undo]:
    return [(conclude, "ABSENCE_GAP", 0.0)]


def _settle_time_ignored() -> list[Undo]:
    real = tenants.timing_of

    def timing(system: Any, settings: Any) -> Any:
        found = real(system, settings)
        return replace(found, policy=replace(found.policy, settle=0.1))

    return [(attempts, "timing_of", timing)]


def _new_owner_does_not_wait() -> list[Undo]:
    at_once = Wait(deadline=0.0, settle=0.0)
    return [
        (Dispatcher, "_waits", lambda _self: {}),
        (Dispatcher, "_longest", lambda _self: at_once),
    ]


def _send_by_ignored() -> list[Undo]:
    return [(Runner, "_until", lambda _self, _permit: lambda: True)]


def _order_by_arrival_only() -> list[Undo]:
    def newer(self: model.Version, other: model.Version) -> bool:
        return self.ordinal > other.ordinal

    return [(model.Version, "newer_than", newer)]


def _supersede_while_uncertain() -> list[Undo]:
    def older(keeper: Any, siblings: Any) -> list[Any]:
        if keeper.entity_type is EntityType.INVOICE:
            return []
        return [s for s in siblings if s.state in OPEN and keeper.version.newer_than(s.version)]

    return [(order, "to_supersede", older)]


def _duplicate_not_recognised() -> list[Undo]:
    real = intake.read_event

    def read(record: Any, *rest: Any) -> Any:
        event = real(record, *rest)
        if not hasattr(event, "deliveries"):
            return event
        place = f"{record.partition}/{record.offset}"
        return replace(
            event,
            deliveries=tuple(
                replace(one, delivery_id=f"{one.delivery_id} {place}") for one in event.deliveries
            ),
        )

    def sort(connection: Any, repeats: Any, same: Any, opened: Any) -> Any:
        del same, opened
        known = known_events(connection, repeats) if repeats else {}
        return [(known[one.source, one.ce_id].event_pk, one) for one in repeats], []

    return [(intake, "read_event", read), (ledger_intake, "_sort_repeats", sort)]


def _outcome_without_ordinal() -> list[Undo]:
    real = changes.Changes.delivery

    def delivery(self: changes.Changes, ordinal: int, **columns: Any) -> None:
        columns.pop("outcomes", None)
        real(self, ordinal, **columns)

    return [(changes.Changes, "delivery", delivery)]


def _booking_retried_on_uncertain() -> list[Undo]:
    return [(timers, "_is_repeatable", lambda _intent: True)]


def _claim_not_exclusive() -> list[Undo]:
    real = access.load_entities

    def load(*given: Any) -> Any:
        return {key: replace(row, claimed_by=None) for key, row in real(*given).items()}

    return [(claim, "load_entities", load)]


def _restored_ledger_does_not_look_up() -> list[Undo]:
    nothing: Operation[Any, None] = Operation(
        "restored", 5, lambda _connection, items: [None] * len(items)
    )
    return [
        (offsets, "mark_restored", nothing),
        (Dispatcher, "restored", lambda _self: None),
    ]


def _release_skips_a_child() -> list[Undo]:
    real = release._children

    def children(*given: Any) -> Any:
        found = real(*given)
        return [one for one in found if one.ordinal % 3]

    return [(release, "_children", children)]


def _outcome_forgotten() -> list[Undo]:
    real = settle._Settling._tell

    def tell(self: Any, item: Any, delivery: Any, done: Any) -> None:
        if delivery.ordinal % 3:
            real(self, item, delivery, done)

    return [(settle._Settling, "_tell", tell)]


def _booked_is_forgotten() -> list[Undo]:
    def forgetful(candidate: Any, row: Any, siblings: Any) -> Any:
        del candidate, row, siblings

    return [(order, "_invoice_order", forgetful)]


PLANTED: Final[dict[str, Callable[[], list[Undo]]]] = {
    "gate ignored": _gate_ignored,
    "epoch not checked": _epoch_not_checked,
    "failed look-up read as absence": _failed_look_up_is_absence,
    "intent after the send": _intent_after_the_send,
    "absence believed after one look-up": _one_absence_is_enough,
    "second look-up at once": _absences_at_once,
    "settle time ignored": _settle_time_ignored,
    "new owner does not wait": _new_owner_does_not_wait,
    "send-by ignored": _send_by_ignored,
    "order by arrival only": _order_by_arrival_only,
    "supersede while uncertain": _supersede_while_uncertain,
    "duplicate not recognised": _duplicate_not_recognised,
    "outcome without its ordinal": _outcome_without_ordinal,
    "booking repeated while uncertain": _booking_retried_on_uncertain,
    "claim not exclusive": _claim_not_exclusive,
    "restored ledger does not look up": _restored_ledger_does_not_look_up,
    "release skips a child": _release_skips_a_child,
    "outcome forgotten": _outcome_forgotten,
    "what is booked forgotten": _booked_is_forgotten,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Have this bug within the block."""
    undo: list[Undo] = []
    try:
        for target, attribute, changed in PLANTED[name]():
            undo.append((target, attribute, getattr(target, attribute)))
            setattr(target, attribute, changed)
        yield
    finally:
        for target, attribute, before in reversed(undo):
            setattr(target, attribute, before)
