"""What mischief makes right, and no more than that: commands, resyncs, data types switched off."""

from collections.abc import Sequence

import msgspec
import pytest

from schemas.outcomes import OutcomeKind, decode_outcome
from streams.ops.chaos.allowances import COMMAND_SLACK_S, SWITCHED_SLACK_S
from streams.ops.chaos.checker import check
from streams.ops.chaos.record import Emitted, History, Mischief, Told
from streams.ops.demo.expectations import Booking
from tests.chaos.miniature import as_told, history_of, outcome_of

WHOLE = history_of(9, events=240)
LETTERS = "moment-sync.deadletters"
NEVER = "customer-number-out-of-range"
replace = msgspec.structs.replace


def kinds(history: History, *mischief: Mischief) -> set[str]:
    return {violation.kind for violation in check(replace(history, mischief=mischief)).violations}


def did(kind: str, target: str = "", at: float = 0.0) -> Mischief:
    return Mischief(at=at, kind=kind, target=target)


def restored(at: float, forgets_from: float) -> Mischief:
    systems = {"sparebank1": 0, "dkplus": 0}
    return Mischief(
        at=at, kind="restore", forgets_from=forgets_from, logs_then=systems, logs_now=systems
    )


def dead_one(code: str = NEVER) -> tuple[Emitted, str, Told]:
    """A delivery that is dead for good, with its integration and the record that says so."""
    for one in WHOLE.emitted:
        for integration, fate in one.fates.items():
            if fate.code == code and not one.duplicate:
                return one, integration, told_of(one, integration)
    raise AssertionError("the miniature has none")


def told_of(one: Emitted, integration: str) -> Told:
    for told in WHOLE.told:
        if told.topic != LETTERS:
            outcome = decode_outcome(told.value or b"")
            if (outcome.event.id, outcome.integration) == (one.id, integration):
                return told
    raise AssertionError("nothing was told of it")


def and_told(*more: Told) -> History:
    return replace(WHOLE, told=[*WHOLE.told, *more])


def again(kind: OutcomeKind, code: str | None, *, replay: bool, resynced: bool = False) -> Told:
    """What is told of the dead one when it has ended once more."""
    one, integration, told = dead_one()
    outcome = outcome_of(one, integration, kind, code)
    if replay:
        outcome = replace(outcome, replay_of=dict(told.headers)["ce_id"].decode())
    if resynced:
        outcome = replace(outcome, delivery_id="another")
    return as_told(outcome, 900, ordinal=2)


def name_of_dead() -> str:
    return decode_outcome(dead_one()[2].value or b"").delivery_id


# --- commands --------------------------------------------------------------------------------


def test_what_a_replay_named_may_end_once_more_as_its_replay() -> None:
    history = and_told(again(OutcomeKind.DEAD, NEVER, replay=True))
    assert kinds(history) == {"double-final-outcome"}
    assert kinds(history, did("command-replay", name_of_dead())) == set()
    assert kinds(history, did("command-replay", "another")) == {"double-final-outcome"}


def test_a_second_end_that_is_no_replay_is_none_of_the_commands_doing() -> None:
    history = and_told(again(OutcomeKind.UNCHANGED, None, replay=False))
    found = kinds(history, did("command-replay-unsure", name_of_dead()))
    assert found == {"double-final-outcome", "wrong-outcome"}


def test_only_what_a_discard_named_may_be_discarded() -> None:
    history = and_told(again(OutcomeKind.DISCARDED, None, replay=True))
    assert kinds(history, did("command-discard", name_of_dead())) == set()
    assert "wrong-outcome" in kinds(history, did("command-replay", name_of_dead()))


@pytest.mark.parametrize("kind", ["command-replay", "command-discard"])
def test_a_command_that_nothing_came_of_is_found(kind: str) -> None:
    assert kinds(WHOLE, did(kind, name_of_dead())) == {"command-lost"}
    counts = check(replace(WHOLE, mischief=[did(kind, name_of_dead())]))
    assert counts.without_final_outcome == 1


def test_a_command_that_was_not_acknowledged_or_was_forgotten_need_not_come_to_anything() -> None:
    name, at = name_of_dead(), 5_000.0
    assert kinds(WHOLE, did("command-discard-unsure", name)) == set()
    command = did("command-discard", name, at)
    assert kinds(WHOLE, command, restored(at + 1, at - 60)) == set()
    late = restored(at + 2 * COMMAND_SLACK_S + 1, at + COMMAND_SLACK_S + 1)
    assert kinds(WHOLE, command, late) == {"command-lost"}
    assert kinds(WHOLE, command, restored(at - 1, at - 60)) == {"command-lost"}


def test_a_resync_opens_one_more_delivery_of_an_event_in_its_integration() -> None:
    one, integration, _ = dead_one()
    outcome = replace(outcome_of(one, integration, OutcomeKind.DEAD, NEVER), delivery_id="another")
    letter = next(told for told in WHOLE.told if told.topic == LETTERS)
    headers = tuple(
        (name, b"another" if name in {"moment-sync-letter-id", "moment-sync-delivery-id"} else v)
        for name, v in _letter_of(one, letter).headers
    )
    history = and_told(as_told(outcome, 900), replace(_letter_of(one, letter), headers=headers))
    assert kinds(history) == {"several-deliveries"}
    assert kinds(history, did("command-resync", integration)) == set()
    assert kinds(history, did("command-resync", "another")) == {"several-deliveries"}


def _letter_of(one: Emitted, otherwise: Told) -> Told:
    return next(
        (told for told in WHOLE.told if told.topic == LETTERS and told.value == one.value),
        otherwise,
    )


def test_beside_a_resync_one_delivery_must_still_carry_the_newest_state() -> None:
    one = next(
        one
        for one in WHOLE.emitted
        if one.entity.startswith("customer/") and not one.duplicate
        for fate in one.fates.values()
        if fate.outcomes == {"applied", "unchanged"}
    )
    integration = next(iter(one.fates))
    stale = as_told(outcome_of(one, integration, OutcomeKind.STALE), 800)
    rest = [told for told in WHOLE.told if told is not told_of(one, integration)]
    lost = replace(WHOLE, told=[*rest, stale])
    resync = did("command-resync", integration)
    assert kinds(lost, resync) == {"wrong-outcome"}
    carried = replace(outcome_of(one, integration, OutcomeKind.APPLIED), delivery_id="another")
    assert kinds(replace(lost, told=[*lost.told, as_told(carried, 900)]), resync) == set()


# --- data types switched off -----------------------------------------------------------------


def project_untold() -> tuple[History, str]:
    """A history in which one project event has no outcome, and its integration."""
    one = next(
        one
        for one in WHOLE.emitted
        if one.entity.startswith("project/") and one.fates and not one.duplicate
        if all(fate.code is None for fate in one.fates.values())
    )
    integration = next(iter(one.fates))
    told = told_of(one, integration)
    return replace(WHOLE, told=[other for other in WHOLE.told if other is not told]), integration


def switched(integration: str, off: float, on: float) -> Sequence[Mischief]:
    return did("switch-off", integration, off), did("switch-on", integration, on)


def test_a_project_read_while_projects_were_switched_off_has_no_outcome_by_right() -> None:
    history, integration = project_untold()
    assert kinds(history) == {"lost", "without-final-outcome"}
    assert kinds(history, *switched(integration, -10.0, 10.0)) == set()
    assert "lost" in kinds(history, *switched("another", -10.0, 10.0))
    late = SWITCHED_SLACK_S + 1
    assert "lost" in kinds(history, *switched(integration, late, late + 10))


def invoice_without_project() -> tuple[History, str]:
    """A history in which one booking names no project though its invoice does."""
    for name, books in WHOLE.books.items():
        for booking in books.bookings:
            if booking.project:
                others = tuple(one for one in books.bookings if one is not booking)
                changed: tuple[Booking, ...] = (*others, replace(booking, project=""))
                shelf = replace(books, bookings=changed)
                return replace(WHOLE, books={**WHOLE.books, name: shelf}), name
    raise AssertionError("the miniature has none")


def test_an_invoice_may_go_without_its_project_only_where_projects_were_switched_off() -> None:
    history, integration = invoice_without_project()
    assert kinds(history) == {"booked-wrong"}
    assert kinds(history, *switched(integration, -10.0, 10.0)) == set()
    before = -2 * SWITCHED_SLACK_S
    assert kinds(history, *switched(integration, before - 10, before)) == {"booked-wrong"}
