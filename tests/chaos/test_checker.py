"""The checker must find whatever is planted: a judge that always says yes is worth nothing."""

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from schemas.outcomes import OutcomeKind, decode_outcome
from streams.ops.chaos.checker import check
from streams.ops.chaos.record import (
    Emitted,
    History,
    Mischief,
    Operation,
    SimulatorViolation,
    Told,
)
from tests.chaos.miniature import STEP_MS, as_told, history_of, outcome_of

SEED = 9
LETTERS = "moment-sync.deadletters"
WHOLE = history_of(SEED)
Change = Callable[[History], History]
replace = msgspec.structs.replace


def kinds(history: History) -> set[str]:
    return {violation.kind for violation in check(history).violations}


@pytest.mark.parametrize("seed", range(12))
def test_a_history_in_which_all_went_well_has_no_violation(seed: int) -> None:
    verdict = check(history_of(seed))
    assert verdict.violations == ()
    assert verdict.lost == verdict.doubled == verdict.out_of_order == 0


def test_the_miniature_holds_everything_that_is_planted_upon() -> None:
    codes = Counter(f.code for one in WHOLE.emitted for f in one.fates.values())
    assert codes["vat-code-unknown"]
    assert codes["invoice-differs-from-booked"]
    assert any(one.letter for one in WHOLE.emitted)
    assert any(one.duplicate for one in WHOLE.emitted)


# --- what was told ---------------------------------------------------------------------------


def told_of(history: History, which: Callable[[Emitted], bool]) -> tuple[Emitted, Told]:
    """The first event of a kind, with its first outcome."""
    for one in history.emitted:
        for told in history.told:
            if one.fates and which(one) and told.topic != LETTERS:
                outcome = decode_outcome(told.value or b"")
                if outcome.event.id == one.id:
                    return one, told
    raise AssertionError("the miniature has no such event")


def is_invoice(one: Emitted) -> bool:
    fates = one.fates.values()
    return one.entity.startswith("invoice") and all(f.booking and not f.code for f in fates)


def is_dead(one: Emitted) -> bool:
    return any(fate.code for fate in one.fates.values())


def without(history: History, told: Told) -> History:
    return replace(history, told=[one for one in history.told if one is not told])


def and_told(history: History, *more: Told) -> History:
    return replace(history, told=[*history.told, *more])


def never_told(history: History) -> History:
    return without(history, told_of(history, is_invoice)[1])


def only_blocked(history: History) -> History:
    one, told = told_of(history, is_invoice)
    integration = decode_outcome(told.value or b"").integration
    blocked = outcome_of(one, integration, OutcomeKind.BLOCKED, "parent-absent")
    return and_told(without(history, told), as_told(blocked, 0))


def told_final_twice(history: History) -> History:
    one, told = told_of(history, is_invoice)
    integration = decode_outcome(told.value or b"").integration
    return and_told(history, as_told(outcome_of(one, integration, OutcomeKind.UNCHANGED), 900))


def told_after_its_end(history: History) -> History:
    one, told = told_of(history, is_invoice)
    integration = decode_outcome(told.value or b"").integration
    blocked = outcome_of(one, integration, OutcomeKind.BLOCKED, "parent-absent")
    return and_told(history, as_told(blocked, 900))


def repeated_unlike(history: History) -> History:
    _, told = told_of(history, is_invoice)
    outcome = replace(decode_outcome(told.value or b""), attempts=7)
    return and_told(history, as_told(outcome, 900))


def under_a_wrong_key(history: History) -> History:
    _, told = told_of(history, is_invoice)
    return and_told(without(history, told), replace(told, key=b"c-1001/1"))


def told_by_a_second_delivery(history: History) -> History:
    one, told = told_of(history, is_invoice)
    outcome = decode_outcome(told.value or b"")
    held = outcome_of(one, outcome.integration, OutcomeKind.HELD, "credentials-refused")
    return and_told(history, as_told(replace(held, delivery_id="another"), 0))


def of_another_entity(history: History) -> History:
    _, told = told_of(history, is_invoice)
    outcome = decode_outcome(told.value or b"")
    wrong = replace(outcome, entity=replace(outcome.entity, number="1"))
    return and_told(without(history, told), as_told(wrong, 0))


def booked_though_refused(history: History) -> History:
    one, told = told_of(history, is_dead)
    integration = decode_outcome(told.value or b"").integration
    applied = as_told(outcome_of(one, integration, OutcomeKind.APPLIED), 0)
    return and_told(without(history, told), applied)


def dead_for_another_reason(history: History) -> History:
    one, told = told_of(history, is_dead)
    integration = decode_outcome(told.value or b"").integration
    other = outcome_of(one, integration, OutcomeKind.DEAD, "customer-missing")
    return and_told(without(history, told), as_told(other, 0))


def of_an_unknown_event(history: History) -> History:
    one, told = told_of(history, is_invoice)
    stranger = replace(one, id="never-sent")
    integration = decode_outcome(told.value or b"").integration
    return and_told(history, as_told(outcome_of(stranger, integration, OutcomeKind.APPLIED), 1))


def letters_of(history: History, *, with_delivery: bool) -> list[Told]:
    name = "moment-sync-delivery-id"
    return [
        one
        for one in history.told
        if one.topic == LETTERS and (name in dict(one.headers)) == with_delivery
    ]


def dead_without_letter(history: History) -> History:
    return without(history, letters_of(history, with_delivery=True)[0])


def unreadable_without_letter(history: History) -> History:
    return without(history, letters_of(history, with_delivery=False)[0])


def letter_of_other_bytes(history: History) -> History:
    letter = letters_of(history, with_delivery=True)[0]
    return and_told(without(history, letter), replace(letter, value=b"{}"))


def second_letter(history: History) -> History:
    letter = letters_of(history, with_delivery=False)[0]
    headers = tuple(
        (name, b"another" if name == "moment-sync-letter-id" else value)
        for name, value in letter.headers
    )
    return and_told(history, replace(letter, headers=headers))


def given_up(history: History) -> History:
    return replace(history, quiet=False)


@pytest.mark.parametrize(
    ("plant", "kind", "count"),
    [
        (never_told, "lost", "lost"),
        (never_told, "without-final-outcome", "without_final_outcome"),
        (only_blocked, "without-final-outcome", "without_final_outcome"),
        (told_final_twice, "double-final-outcome", "double_final_outcome"),
        (told_after_its_end, "told-after-final", "out_of_order"),
        (repeated_unlike, "repeat-differs", None),
        (under_a_wrong_key, "wrong-key", None),
        (told_by_a_second_delivery, "several-deliveries", None),
        (of_another_entity, "wrong-entity", None),
        (booked_though_refused, "wrong-outcome", None),
        (dead_for_another_reason, "wrong-code", None),
        (of_an_unknown_event, "unexpected-outcome", None),
        (dead_without_letter, "letter-missing", "lost"),
        (unreadable_without_letter, "letter-missing", "lost"),
        (letter_of_other_bytes, "letter-changed", None),
        (second_letter, "letter-twice", None),
        (given_up, "not-quiet", None),
    ],
)
def test_what_is_told_wrongly_is_found(plant: Change, kind: str, count: str | None) -> None:
    verdict = check(plant(WHOLE))
    assert kind in {violation.kind for violation in verdict.violations}
    if count is not None:
        assert getattr(verdict, count) >= 1


def test_a_repeat_of_the_same_record_is_no_violation() -> None:
    """Outcomes come at least once on the wire."""
    again = [replace(one, offset=one.offset + 1000, timestamp_ms=10**9) for one in WHOLE.told]
    assert kinds(and_told(WHOLE, *again)) == set()


# --- the books -------------------------------------------------------------------------------


def of_first_books(history: History, change: Callable[..., object]) -> History:
    name = next(name for name, books in history.books.items() if len(books.bookings) > 1)
    return replace(history, books={**history.books, name: change(history.books[name])})


def booking_gone(history: History) -> History:
    return of_first_books(history, lambda b: replace(b, bookings=b.bookings[1:]))


def booked_twice(history: History) -> History:
    return of_first_books(history, lambda b: replace(b, bookings=(*b.bookings, b.bookings[0])))


def booked_twice_and_one_taken_away(history: History) -> History:
    operation = next(one for one in history.operations if one.entity.startswith("invoice"))
    return replace(history, operations=[*history.operations, replace(operation, place=10**9)])


def booked_with_another_amount(history: History) -> History:
    def change(books: msgspec.Struct) -> object:
        first, *rest = books.bookings  # type: ignore[attr-defined]  # it is FoundBooks
        return replace(books, bookings=(replace(first, amount=first.amount + 1), *rest))

    return of_first_books(history, change)


def customer_gone(history: History) -> History:
    return of_first_books(history, lambda b: replace(b, customers={}))


def stranger_in_the_books(history: History) -> History:
    return of_first_books(history, lambda b: replace(b, projects={**b.projects, "9": {}}))


def older_content(history: History) -> History:
    def change(books: msgspec.Struct) -> object:
        number, fields = next(iter(books.customers.items()))  # type: ignore[attr-defined]  # it is FoundBooks
        older = {**books.customers, number: {**fields, "name": "old v0"}}  # type: ignore[attr-defined]  # it is FoundBooks
        return replace(books, customers=older)

    return of_first_books(history, change)


def two_records_of_one_number(history: History) -> History:
    return of_first_books(history, lambda b: replace(b, odd=("two records have the number 7",)))


def books_unread(history: History) -> History:
    return replace(history, books={})


def moved(history: History, which: Callable[[Operation], bool], place: int) -> History:
    """One operation at another place among all of them."""
    chosen = next(one for one in history.operations if which(one))
    rest = [one for one in history.operations if one is not chosen]
    elsewhere = [*rest, replace(chosen, place=place)]
    return replace(history, operations=sorted(elsewhere, key=lambda one: one.place))


def child_before_parent(history: History) -> History:
    return moved(history, lambda one: one.entity.startswith("invoice"), -1)


def never_born_parent(history: History) -> History:
    kept = [one for one in history.operations if not one.entity.startswith("customer")]
    return replace(history, operations=kept)


def older_state_over_a_newer(history: History) -> History:
    newer = next(one for one in history.operations if one.version and one.version > 1)
    older = replace(newer, version=newer.version - 1 if newer.version else 0, place=10**9)
    return replace(history, operations=[*history.operations, older])


def noted_by_the_simulator(history: History) -> History:
    noted = SimulatorViolation(at=1.0, integration="vik-dk", kind="double-booking", text="x")
    return replace(history, noted=[noted])


@pytest.mark.parametrize(
    ("plant", "kind", "count"),
    [
        (booking_gone, "not-booked", "lost"),
        (booked_twice, "booked-twice", "doubled"),
        (booked_twice_and_one_taken_away, "booked-twice", "doubled"),
        (booked_with_another_amount, "booked-wrong", None),
        (customer_gone, "missing", "lost"),
        (stranger_in_the_books, "unexpected", None),
        (older_content, "final-content", "out_of_order"),
        (two_records_of_one_number, "odd", None),
        (books_unread, "missing", "lost"),
        (child_before_parent, "before-parent", "out_of_order"),
        (never_born_parent, "before-parent", "out_of_order"),
        (older_state_over_a_newer, "older-over-newer", "out_of_order"),
        (noted_by_the_simulator, "double-booking", None),
    ],
)
def test_what_is_wrong_in_the_books_is_found(plant: Change, kind: str, count: str | None) -> None:
    verdict = check(plant(WHOLE))
    assert kind in {violation.kind for violation in verdict.violations}
    if count is not None:
        assert getattr(verdict, count) >= 1


# --- what a restore makes unavoidable --------------------------------------------------------


def restored(at: float, forgets_from: float, logs: int = 0) -> Mischief:
    systems = {"sparebank1": logs, "dkplus": logs}
    return Mischief(at=at, kind="restore", forgets_from=forgets_from, logs_now=systems)


def told_again_after(history: History, seconds: int) -> History:
    """The first invoice has a second final outcome, with another content, so much later."""
    one, told = told_of(history, is_invoice)
    integration = decode_outcome(told.value or b"").integration
    place = told.timestamp_ms // STEP_MS + seconds
    return and_told(history, as_told(outcome_of(one, integration, OutcomeKind.UNCHANGED), place))


def test_what_a_restore_forgot_may_be_told_anew() -> None:
    first = told_of(WHOLE, is_invoice)[1].timestamp_ms / STEP_MS
    history = told_again_after(WHOLE, 60)
    forgotten = replace(history, mischief=[restored(first + 30, first - 1)])
    assert kinds(forgotten) == set()


def test_what_a_restore_did_not_forget_must_not_be_told_anew() -> None:
    first = told_of(WHOLE, is_invoice)[1].timestamp_ms / STEP_MS
    history = told_again_after(WHOLE, 60)
    for mischief in (restored(first + 30, first + 10), restored(first + 90, first - 1)):
        assert kinds(replace(history, mischief=[mischief])) == {"double-final-outcome"}


def test_an_older_state_may_come_again_only_right_after_a_restore() -> None:
    history = older_state_over_a_newer(WHOLE)
    assert kinds(replace(history, mischief=[restored(0, 0, logs=10**9 - 1)])) == set()
    assert kinds(replace(history, mischief=[restored(0, 0, logs=0)])) == {"older-over-newer"}


def test_a_single_look_up_is_forgiven_only_after_a_restore() -> None:
    """The simulator's judge counts look-ups since the post, and knows of no restore."""
    noted = SimulatorViolation(
        at=50.0, integration="vik-dk", kind="repost-after-one-look-up", text="x"
    )
    history = replace(WHOLE, noted=[noted])
    assert kinds(history) == {"repost-after-one-look-up"}
    assert kinds(replace(history, mischief=[restored(40, 30)])) == set()
    assert kinds(replace(history, mischief=[restored(60, 30)])) == {"repost-after-one-look-up"}
