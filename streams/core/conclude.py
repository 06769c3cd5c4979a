"""What becomes of a delivery after an attempt or a look-up (design sections 4, 6 and 7).

`core` may not import the connectors, so a verdict arrives here as one of the small values below;
`streams/verdicts.py` translates.
"""

from enum import StrEnum

import msgspec

from schemas.failures import Change, Failure, FailureClass, FailureCode, Notable, Reference
from streams.core.states import State

MOST_POSTS = 5  # a booking is sent at most five times, each after proved absence (design 6)
ABSENCES_NEEDED = 2  # look-ups that succeeded and found nothing, before absence is believed
ABSENCE_GAP = 0.25  # of the settle time, between the two
RETRYING_TOLD_AFTER_S = 900.0  # 15 min; a delivery due for longer is told once
KENNITALA_WAIT_S = 5.0  # interface section 2: how long an invoice waits for its customer's event


class What(StrEnum):
    """What an attempt, or a look-up of an uncertain write, came to."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    MANUAL = "manual"
    REFUSED = "refused"
    HOLD = "hold"
    RETRY = "retry"
    UNSURE = "unsure"
    GATE_CLOSED = "gate-closed"
    DROPPED = "dropped"
    ABSENT = "absent"
    SETTLED = "settled"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict or resolution, as far as the core needs it."""

    what: What
    failure: Failure | None = None
    reference: Reference | None = None
    warnings: tuple[Notable, ...] = ()
    changes: tuple[Change, ...] = ()
    retry_after: float | None = None
    repeatable: bool = False  # of the write that is in doubt
    booking: bool = False
    parent_key: str | None = None  # with GATE_CLOSED: the key of the parent's entity


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits in force for one accounting system, in seconds."""

    retry_base: float
    retry_max: float
    retry_for: float
    settle: float
    deadline: float
    parent_wait: float


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger counts of a delivery."""

    state: State
    attempts: int = 0
    retried_s: float = 0.0  # time spent between attempts; holds do not count
    posts: int = 0  # bookings sent and proved absent
    absences: int = 0
    age_s: float = 0.0  # since it was received
    told_retrying: bool = False
    customer_known: bool = True  # there was an event of its customer
    failure: Failure | None = None  # the last one, should what comes now say none


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What to write down. `act_in`: seconds until the delivery is looked at again."""

    state: State
    attempts: int
    retried_s: float
    posts: int = 0
    absences: int = 0
    act_in: float | None = None
    failure: Failure | None = None
    tell_retrying: bool = False
    hold: Failure | None = None
    pause_s: float | None = None  # the whole integration pauses (Retry-After)
    in_books: bool | None = None  # True: it is there; None: nothing was learnt
    clean: bool = False  # the content applied is what the books hold


def pause(attempt: int, policy: Policy, random: float) -> float:
    """Seconds before the next attempt: doubling from the base, capped, with jitter of half."""
    steps = min(max(attempt - 1, 0), 30)  # beyond 2**30 every cap is reached
    full = min(policy.retry_max, policy.retry_base * float(2**steps))
    return full * (0.5 + random / 2)


def conclude(standing: Standing, result: Result, policy: Policy, random: float) -> Conclusion:
    """Decide what follows from an attempt (state sending) or a look-up (state uncertain)."""
    if standing.state is State.UNCERTAIN:
        return _after_look_up(standing, result, policy, random)
    same = Conclusion(
        state=standing.state,
        attempts=standing.attempts + 1,
        retried_s=standing.retried_s,
        posts=standing.posts,
    )
    match result.what:
        case What.APPLIED | What.UNCHANGED | What.MANUAL:
            return _done(same, result)
        case What.REFUSED:
            return _refused(standing, same, result)
        case What.HOLD:
            return _interrupted(standing, hold=result.failure)
        case What.RETRY:
            return _retry(standing, same, result, policy, random)
        case What.UNSURE:
            return _unsure(standing, same, result, policy)
        case What.GATE_CLOSED:
            return replace(_interrupted(standing), state=State.WAITING)
        case _:  # given up before the bytes left: the same again at once would be a loop
            return replace(_interrupted(standing), state=State.DUE, act_in=policy.retry_base)


def _done(same: Conclusion, result: Result) -> Conclusion:
    state = {
        What.APPLIED: State.APPLIED,
        What.UNCHANGED: State.UNCHANGED,
        What.MANUAL: State.MANUAL,
    }[result.what]
    known = result.reference is not None
    return replace(
        same, state=state, in_books=True if known else None, clean=state is not State.MANUAL
    )


def _refused(standing: Standing, same: Conclusion, result: Result) -> Conclusion:
    failure = result.failure
    left = KENNITALA_WAIT_S - standing.age_s
    if (
        failure is not None
        and failure.code is FailureCode.KENNITALA_MISSING
        and not standing.customer_known
        and left > 0
    ):
        return replace(_interrupted(standing), state=State.DUE, act_in=left, failure=failure)
    return replace(same, state=State.DEAD, failure=failure)


def _interrupted(standing: Standing, hold: Failure | None = None) -> Conclusion:
    """Back to ready: an interrupted or held attempt costs none."""
    return Conclusion(
        state=State.READY,
        attempts=standing.attempts,
        retried_s=standing.retried_s,
        posts=standing.posts,
        hold=hold,
    )


def _unsure(standing: Standing, same: Conclusion, result: Result, policy: Policy) -> Conclusion:
    """Wait out what may still be under way. What is only sent again counts as a retry."""
    wait = max(policy.settle, result.retry_after or 0.0)
    unsure = replace(
        same,
        state=State.UNCERTAIN,
        act_in=wait,
        failure=result.failure,
        pause_s=result.retry_after,
    )
    if not result.repeatable:
        return unsure
    retried_s = standing.retried_s + policy.settle
    if retried_s > policy.retry_for:
        dead = exhausted(result.failure, same.attempts)
        return replace(same, state=State.DEAD, failure=dead)
    return replace(
        unsure,
        posts=standing.posts + 1,
        retried_s=retried_s,
        tell_retrying=retried_s > RETRYING_TOLD_AFTER_S and not standing.told_retrying,
    )


def _retry(
    standing: Standing, same: Conclusion, result: Result, policy: Policy, random: float
) -> Conclusion:
    own = pause(same.attempts, policy, random)
    wait = max(own, result.retry_after or 0.0)
    # A wait that was asked for is no failure of ours: it does not use up the limit.
    retried_s = standing.retried_s + own
    if retried_s > policy.retry_for:
        return replace(same, state=State.DEAD, failure=exhausted(result.failure, same.attempts))
    return replace(
        same,
        state=State.DUE,
        retried_s=retried_s,
        act_in=wait,
        failure=result.failure,
        pause_s=result.retry_after,
        tell_retrying=retried_s > RETRYING_TOLD_AFTER_S and not standing.told_retrying,
    )


def exhausted(last: Failure | None, attempts: int) -> Failure:
    """The limits of a transient or uncertain failure are used up."""
    return Failure(
        code=FailureCode.RETRIES_EXHAUSTED,
        parameters={
            "lastCode": last.code.value if last else "?",
            "attempts": str(attempts),
            "answer": (last.answer if last else None) or "-",
        },
        klass=last.failure_class if last else FailureClass.TRANSIENT,
        answer=last.answer if last else None,
    )


def _after_look_up(standing: Standing, result: Result, policy: Policy, random: float) -> Conclusion:
    stay = Conclusion(
        state=State.UNCERTAIN,
        attempts=standing.attempts,
        retried_s=standing.retried_s,
        posts=standing.posts,
        absences=standing.absences,
        failure=result.failure,
    )
    match result.what:
        case What.APPLIED | What.MANUAL:
            return _done(stay, result)
        case What.SETTLED:
            ready = replace(stay, state=State.READY, absences=0)
            return replace(ready, in_books=True if result.reference is not None else None)
        case What.ABSENT:
            return _absent(standing, stay, policy)
        case What.REFUSED:
            return replace(stay, state=State.DEAD)
        case What.HOLD:
            return replace(stay, hold=result.failure, act_in=policy.retry_max, failure=None)
        case _:
            wait = max(
                pause(standing.absences + 1, policy, random),
                result.retry_after or 0.0,
                policy.settle * ABSENCE_GAP,
                min(policy.retry_max, standing.retried_s / 2),  # less often, the longer it lasts
            )
            retried_s = standing.retried_s + wait
            if retried_s > policy.retry_for:
                last = exhausted(result.failure, standing.attempts)
                dead = msgspec.structs.replace(last, klass=FailureClass.UNCERTAIN)
                return replace(stay, state=State.DEAD, failure=dead)
            return replace(stay, act_in=wait, retried_s=retried_s, pause_s=result.retry_after)


def _absent(standing: Standing, stay: Conclusion, policy: Policy) -> Conclusion:
    absences = standing.absences + 1
    if absences < ABSENCES_NEEDED:
        return replace(stay, absences=absences, act_in=policy.settle * ABSENCE_GAP)
    posts = standing.posts + 1
    if posts >= MOST_POSTS:
        failure = exhausted(standing.failure, standing.attempts)
        dead = msgspec.structs.replace(failure, klass=FailureClass.UNCERTAIN)
        return replace(stay, state=State.DEAD, failure=dead, posts=posts)
    return replace(stay, state=State.READY, posts=posts, absences=0, failure=None)


replace = msgspec.structs.replace
