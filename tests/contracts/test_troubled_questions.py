"""Every flow under every fault of every request: a verdict comes back, and never an exception.

The runner turns a bug of a flow into a verdict and logs it; a logged error fails a test here.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from connectors.attempts import Attempt
from connectors.port import (
    Absent,
    Applied,
    Dropped,
    Found,
    GateClosed,
    Hold,
    Intent,
    Refused,
    Retry,
    Settled,
    Unchanged,
    Unsure,
)
from connectors.simulation_faults import FaultKind, FaultRule, RetryAfterForm
from schemas.events import Entity, EntityType
from schemas.failures import FailureCode
from tests.contracts.carrier import Carrier
from tests.contracts.places import DKPLUS, SPAREBANK1
from tests.contracts.world import DEADLINE_S, Place, World

SHORT_DEADLINE_S: Final = 0.05
RETRY_AFTER_S: Final = 7
TOKEN_LIFE_S: Final = 3600
ANSWERS: Final = (
    (200, ""),
    (200, "null"),
    (200, "[]"),
    (200, "{}"),
    (200, "[null, 1, []]"),
    (200, '"text"'),
    (200, "<html></html>"),
    (200, "[" * 5000),
    (200, '{"Number": {"a": 1}, "ID": "x", "Lines": 3}'),
    (204, ""),
    (302, ""),
    (400, '{"Message": null}'),
    (404, "<html></html>"),
    (418, "x"),
    (500, '{"Message": "FOREIGN KEY constraint"}'),
)

LIKELIEST: Final = (SPAREBANK1, DKPLUS)

Asking = Callable[[World, float], Awaitable[Attempt[Any]]]


def _everything(kind: FaultKind, **facts: Any) -> FaultRule:
    # Below the API, so that a token can be had.
    return FaultRule(fault=kind, path="/api/*", **facts)


FAULTS: Final = {
    "no-answer": _everything(FaultKind.COMMIT_NO_ANSWER, seconds=30.0),
    "reset": _everything(FaultKind.RESET_BEFORE),
    "html-500": _everything(FaultKind.SERVER_ERROR),
    "503": _everything(
        FaultKind.UNAVAILABLE,
        retry_after=RetryAfterForm.SECONDS,
        retry_after_seconds=RETRY_AFTER_S,
    ),
    "429-seconds": _everything(
        FaultKind.TOO_MANY, retry_after=RetryAfterForm.SECONDS, retry_after_seconds=RETRY_AFTER_S
    ),
    "429-date": _everything(
        FaultKind.TOO_MANY, retry_after=RetryAfterForm.HTTP_DATE, retry_after_seconds=RETRY_AFTER_S
    ),
    "401": _everything(FaultKind.UNAUTHORISED),
    "403": _everything(FaultKind.FORBIDDEN),
    "truncated": _everything(FaultKind.TRUNCATED_JSON),
    "broken-off": _everything(FaultKind.BROKEN_OFF),
    "error-in-answer": _everything(FaultKind.ERROR_IN_ANSWER),
    "token-refused": FaultRule(fault=FaultKind.ANSWER, path="/connect/token", status=400),
    "token-html": FaultRule(fault=FaultKind.ANSWER, path="/connect/token", body="<html>"),
    "token-503": FaultRule(fault=FaultKind.UNAVAILABLE, path="/connect/token"),
    "token-reset": FaultRule(fault=FaultKind.RESET_BEFORE, path="/connect/token"),
} | {
    f"answer-{status}-{index}": _everything(FaultKind.ANSWER, status=status, body=body)
    for index, (status, body) in enumerate(ANSWERS)
}
NOTHING_THERE: Final = "answer-200-2"
"""An empty list is the one strange answer that means something: there is none."""

# An error where there is a place for it, and half of an empty body, leave some answers whole.
_MAY_BE_ANSWERS: Final = (
    FaultKind.ANSWER,
    FaultKind.ERROR_IN_ANSWER,
    FaultKind.TRUNCATED_JSON,
)
OF_LOAD: Final = ("503", "429-seconds", "429-date")


def _delivering(make: Callable[[World], Entity]) -> Asking:
    async def ask(world: World, deadline_s: float) -> Attempt[Any]:
        carrier = Carrier(world)
        carrier.deadline_s = deadline_s
        return await carrier.deliver(make(world), look_up_first=True)

    return ask


def _resolving(make: Callable[[World], Entity], kind: str) -> Asking:
    async def ask(world: World, deadline_s: float) -> Attempt[Any]:
        event = make(world)
        booking = kind.endswith(".book")
        detail = {"externalReference": "moment:invoice:1001", "accountId": "1", "customerId": "2"}
        intent = Intent(kind=kind, key=event.number, booking=booking, detail=detail)
        return await world.runner(deadline_s).resolve(Carrier(world).job(event), intent)

    return ask


def _finding(entity_type: EntityType) -> Asking:
    async def ask(world: World, deadline_s: float) -> Attempt[Any]:
        return await world.runner(deadline_s).find(entity_type, "100042", world.here)

    return ask


async def _identifying(world: World, deadline_s: float) -> Attempt[Any]:
    return await world.runner(deadline_s).identify(world.here)


def _book(world: World) -> str:
    return "voucher.book" if world.system == "sparebank1" else "invoice.book"


async def _resolving_a_booking(world: World, deadline_s: float) -> Attempt[Any]:
    return await _resolving(lambda it: it.invoice(), _book(world))(world, deadline_s)


DELIVERIES: Final[dict[str, Asking]] = {
    "deliver-customer": _delivering(lambda world: world.customer()),
    "deliver-project": _delivering(lambda world: world.project()),
    "deliver-invoice": _delivering(lambda world: world.invoice()),
}
QUESTIONS: Final[dict[str, Asking]] = {
    "resolve-customer": _resolving(lambda world: world.customer(), "customer.create"),
    "resolve-project": _resolving(lambda world: world.project(), "project.create"),
    "resolve-booking": _resolving_a_booking,
    "find-customer": _finding(EntityType.CUSTOMER),
    "find-project": _finding(EntityType.PROJECT),
    "find-invoice": _finding(EntityType.INVOICE),
    "identify": _identifying,
}


async def _ready(world: World) -> None:
    """A token is had and has served, and there is a customer to ask for."""
    await Carrier(world).applied(world.customer())


async def _ask(world: World, asking: Asking, rule: FaultRule) -> Any:
    world.cache.forget(world.here.id, "")
    if rule.path == "/connect/token":
        world.clock.advance(TOKEN_LIFE_S)
    world.set_faults(rule)
    short = rule.fault is FaultKind.COMMIT_NO_ANSWER
    return (await asking(world, SHORT_DEADLINE_S if short else DEADLINE_S)).verdict


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", LIKELIEST, ids=lambda place: place.id)
def test_no_fault_makes_a_flow_raise_or_a_delivery_die(place: Place, fault: str) -> None:
    """A delivery that a fault of the line could kill would need a person for nothing.

    Where every request fails, what the books would have answered does not matter.
    """
    rule = FAULTS[fault]

    async def story(world: World) -> None:
        if rule.path == "/connect/token" and world.system == "dkplus":
            return
        await _ready(world)
        for name, asking in DELIVERIES.items():
            verdict = await _ask(world, asking, rule)
            assert isinstance(verdict, Retry | Hold | Unsure | GateClosed | Refused | Applied), name
            if rule.fault is not FaultKind.ANSWER:
                assert not isinstance(verdict, Refused), (name, verdict)
            elif isinstance(verdict, Refused) and fault != NOTHING_THERE:
                codes = (FailureCode.ANSWER_NOT_UNDERSTOOD, FailureCode.REFUSED_BY_SYSTEM)
                assert verdict.failure.code in codes, (name, verdict)
        for name, asking in QUESTIONS.items():
            verdict = await _ask(world, asking, rule)
            if rule.fault in _MAY_BE_ANSWERS:
                assert not isinstance(verdict, Dropped | Unchanged), (name, verdict)
            else:
                assert isinstance(verdict, Retry | Hold), (name, verdict)

    place.run(story, lawful=False)


@pytest.mark.parametrize(
    "fault", [name for name in FAULTS if "answer-200" in name and name != NOTHING_THERE]
)
@pytest.mark.parametrize("place", LIKELIEST, ids=lambda place: place.id)
def test_an_answer_without_sense_is_not_taken_for_a_no(place: Place, fault: str) -> None:
    """A look-up that is answered with something else says nothing of the books."""

    async def story(world: World) -> None:
        await _ready(world)
        for name, asking in QUESTIONS.items():
            if name == "identify":
                continue
            verdict = await _ask(world, asking, FAULTS[fault])
            assert not isinstance(verdict, Absent | Found | Settled | Applied), (name, verdict)

    place.run(story, lawful=False)


@pytest.mark.parametrize("fault", OF_LOAD)
def test_retry_after_is_handed_on_in_seconds(place: Place, fault: str) -> None:
    """Contracts sparebank1-regnskap 12.9 and dkplus A11.11: it holds for the whole integration."""

    async def story(world: World) -> None:
        await _ready(world)
        for name, asking in (DELIVERIES | QUESTIONS).items():
            verdict = await _ask(world, asking, FAULTS[fault])
            assert isinstance(verdict, Retry), (name, verdict)
            wait = verdict.retry_after
            assert wait is not None, name
            assert RETRY_AFTER_S - 2 <= wait <= RETRY_AFTER_S + 1, name  # dates have whole seconds

    place.run(story)


@pytest.mark.parametrize("form", [RetryAfterForm.SECONDS, RetryAfterForm.HTTP_DATE])
def test_retry_after_of_a_write_is_handed_on_in_seconds(place: Place, form: RetryAfterForm) -> None:
    async def story(world: World) -> None:
        rule = FaultRule(
            fault=FaultKind.TOO_MANY,
            kind="customer.create",
            retry_after=form,
            retry_after_seconds=RETRY_AFTER_S,
        )
        world.set_faults(rule)
        verdict = (await Carrier(world).deliver(world.customer())).verdict
        assert isinstance(verdict, Retry)
        assert verdict.failure.code is FailureCode.TOO_MANY_REQUESTS
        assert verdict.retry_after is not None
        assert RETRY_AFTER_S - 2 <= verdict.retry_after <= RETRY_AFTER_S + 1

    place.run(story)


def test_a_system_that_is_not_there_at_all_is_tried_again(place: Place) -> None:
    """Nothing was sent, so nothing is uncertain."""

    async def story(world: World) -> None:
        for asking in (DELIVERIES | QUESTIONS).values():
            verdict = (await asking(world, DEADLINE_S)).verdict
            assert isinstance(verdict, Retry), verdict
            assert verdict.failure.code is FailureCode.CONNECTION_FAILED
        assert world.asked() == []

    place.run(story, unplugged=True)
