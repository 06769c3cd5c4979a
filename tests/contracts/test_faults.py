"""Every write under every fault: in the end exactly one record, and no rule broken on the way.

What becomes of a delivery after a fault is decided by the core's own rules. Judged are the books
and the simulator's list of what a right client never does, never the verdict alone.
"""

from typing import Final

import msgspec
import pytest

from connectors.simulation_faults import FaultKind, FaultRule, RetryAfterForm
from streams.core.states import State
from tests.contracts.carrier import SETTLE_S, Carrier
from tests.contracts.places import EVERYWHERE
from tests.contracts.world import DEADLINE_S, Place, World
from tests.contracts.writes import WriteCase, cases_at

SHORT_DEADLINE_S: Final = 0.1
"""Of the deliveries that are held back: they are given up after this."""

_REFUSALS: Final = (FaultKind.UNAUTHORISED, FaultKind.FORBIDDEN, FaultKind.TOO_MANY)
_COMMITS: Final = (
    FaultKind.COMMIT_NO_ANSWER,
    FaultKind.COMMIT_LATER,
    FaultKind.RESET_AFTER,
    FaultKind.TRUNCATED_JSON,
    FaultKind.BROKEN_OFF,
    FaultKind.SLOW,
)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a write goes wrong. `lag`: seconds that the first look-up is behind."""

    id: str
    rule: FaultRule
    short: bool = False
    lag: float = 0.0

    @property
    def posts(self) -> int:
        """How often the write is to be sent: again only after it was proved absent."""
        rule = self.rule
        done = rule.commit or rule.fault in _COMMITS
        return 1 if done or rule.fault in _REFUSALS else 1 + (rule.limit or 0)


def _trouble(name: str, fault: FaultKind, **facts: object) -> Trouble:
    own = {"short": facts.pop("short", False), "lag": facts.pop("lag", 0.0)}
    rule = msgspec.convert({"fault": fault, "limit": 1, **facts}, FaultRule)
    return Trouble(id=name, rule=rule, **own)  # type: ignore[arg-type]  # the two above


TROUBLES: Final = (
    _trouble("commit-no-answer", FaultKind.COMMIT_NO_ANSWER, seconds=30.0, short=True),
    _trouble("commit-later", FaultKind.COMMIT_LATER, seconds=0.05),
    _trouble("reset-before", FaultKind.RESET_BEFORE),
    _trouble("reset-after", FaultKind.RESET_AFTER),
    _trouble("html-500-before", FaultKind.SERVER_ERROR),
    _trouble("html-500-after", FaultKind.SERVER_ERROR, commit=True),
    _trouble("504-after", FaultKind.SERVER_ERROR, status=504, commit=True),
    _trouble("503-before", FaultKind.UNAVAILABLE, retry_after=RetryAfterForm.SECONDS),
    _trouble("503-after", FaultKind.UNAVAILABLE, commit=True),
    _trouble("408-after", FaultKind.ANSWER, status=408, commit=True),
    _trouble("302-after", FaultKind.ANSWER, status=302, commit=True),
    _trouble("html-200-before", FaultKind.ANSWER, body="<html>login</html>"),
    _trouble("truncated-json", FaultKind.TRUNCATED_JSON),
    _trouble("broken-off", FaultKind.BROKEN_OFF),
    _trouble("slow-beyond-deadline", FaultKind.SLOW, seconds=0.2, short=True),
    _trouble("look-up-lags-after-commit", FaultKind.RESET_AFTER, lag=2 * SETTLE_S),
    _trouble("401-once", FaultKind.UNAUTHORISED),
    _trouble("403-once", FaultKind.FORBIDDEN),
    _trouble("429-seconds", FaultKind.TOO_MANY, retry_after=RetryAfterForm.SECONDS),
    _trouble("429-date", FaultKind.TOO_MANY, retry_after=RetryAfterForm.HTTP_DATE),
    _trouble("twice-reset-before", FaultKind.RESET_BEFORE, limit=2),
)

MATRIX: Final = [
    pytest.param(place, case, trouble, id=f"{place.id}-{case.id}-{trouble.id}")
    for place in EVERYWHERE
    for case in cases_at(place.id)
    for trouble in TROUBLES
]


@pytest.mark.parametrize(("place", "case", "trouble"), MATRIX)
def test_after_any_fault_there_is_exactly_one_record(
    place: Place, case: WriteCase, trouble: Trouble
) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        await case.prepare(world, carrier)
        world.clock.advance(10 * SETTLE_S)  # what was made until now is seen by every look-up
        before = len(_left(world, case))
        world.set_faults(*_rules(case, trouble))
        carrier.deadline_s = SHORT_DEADLINE_S if trouble.short else DEADLINE_S
        event = case.event(world)
        mine = {*case.kinds, "invoice.book"}
        story = await carrier.carry(event)
        assert story.state is State.APPLIED, (story.seen, story.failure)
        assert any(one.fault == trouble.rule.fault for one in world.asked()), "it never happened"
        assert case.stands(world, event), (world.bookings(event.number), story.seen)
        if not case.repeatable:
            sent = len(_left(world, case)) - before
            assert sent == trouble.posts, story.seen
            meant = [one for one in carrier.intents if not one.repeatable and one.kind in mine]
            assert len(meant) >= sent, "a write left twice under one intent"

    place.run(story)


def _rules(case: WriteCase, trouble: Trouble) -> list[FaultRule]:
    rules = [msgspec.structs.replace(trouble.rule, kind=kind) for kind in case.kinds]
    if trouble.lag:
        rules += [
            FaultRule(fault=FaultKind.LAGGING, kind=kind, seconds=trouble.lag, skip=skip, limit=1)
            for kind in case.looked_up
            # A customer or project is asked for once before it is written.
            for skip in (0 if "book" in case.id else 1,)
        ]
    return rules


def _left(world: World, case: WriteCase) -> list[str]:
    """The writes of a case that were not turned away at the door."""
    return [
        one.kind for one in world.asked() if one.kind in case.kinds and one.fault not in _REFUSALS
    ]
