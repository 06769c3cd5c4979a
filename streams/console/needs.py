"""What needs a person, the most pressing first. Pure."""

from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.failures import FailureClass
from streams.console.figures import Figures
from streams.console.wording import Said, counted, say, things
from streams.core.states import State
from streams.ledger.console_queries import DeadCause, LetterCount

SHOWN: Final = 8  # of them on the overview; the rest is one link away
LETTERS: Final = "letters"

# What may be in the books twice or wrongly comes before what is merely not there yet.
_PRESSING: Final = {
    FailureClass.UNCERTAIN: 0,
    FailureClass.DEFECT: 1,
    FailureClass.ACCESS: 2,
    FailureClass.SET_UP: 2,
    FailureClass.DATA: 2,
    FailureClass.TRANSIENT: 2,
}


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """One thing for a person. `kind`: hold, cause, letters, blocked or kafka."""

    kind: str
    said: Said | None
    title: str
    count: str
    many: int = 0  # of the dead
    since: float | None
    integration: str | None = None
    company: str | None = None
    system: str | None = None
    code: str | None = None
    klass: str | None = None
    cause: str | None = None
    example: bool = False  # the words are those of the newest of them


def needs_of(figures: Figures, language: str) -> list[Need]:
    """Holds first, then what died, by how pressing it is and how many it concerns."""
    found = [*_kafka(figures), *_holds(figures, language)]
    causes = [
        (_PRESSING[c.sample.failure_class], -c.count, n) for n, c in enumerate(figures.causes)
    ]
    found += [cause_need(figures.causes[n], language) for _, _, n in sorted(causes)]
    found += letter_needs(figures.letters, language)
    return found


def _kafka(figures: Figures) -> list[Need]:
    if figures.kafka_away_since is None:
        return []
    said = Said(
        "Kafka does not answer",
        "Nothing comes in and nothing can be asked for until it does; what is written down "
        "already goes on. See that the brokers run and that MOMENT_SYNC_KAFKA names them.",
        "en",
    )
    need = Need(kind="kafka", said=said, title=said.text, count="", since=figures.kafka_away_since)
    return [need]


def _holds(figures: Figures, language: str) -> list[Need]:
    found = []
    for one in figures.standings:
        if one.hold is None or one.hold.failure is None:
            continue
        said = say(one.hold.failure, language, one.system, None)
        waits = sum(one.count(state) for state in State if state in one.states)
        found.append(
            Need(
                kind="hold",
                said=said,
                title=said.text,
                count=f"{counted(waits, 'delivery')} held",
                since=one.hold.since,
                integration=one.id,
                company=one.company,
                system=one.system,
                code=one.hold.failure.code.value,
                klass=one.hold.failure.failure_class.value,
            )
        )
    return found


def cause_need(cause: DeadCause, language: str) -> Need:
    """A group of the dead as one thing for a person."""
    said = say(cause.sample, language, cause.system, cause.entity if cause.count == 1 else None)
    count = things(cause.kinds, cause.count)
    if cause.customers is not None and cause.kinds != ("customer",):
        count += f" of {counted(cause.customers, 'customer')}"
    return Need(
        kind="cause",
        said=said,
        title=said.text,
        count=count,
        many=cause.count,
        since=cause.oldest_at,
        integration=cause.integration,
        company=cause.company,
        system=cause.system,
        code=cause.code,
        klass=cause.sample.failure_class.value,
        cause=cause.cause,
        example=cause.count > 1 and not cause.cause and bool(cause.sample.parameters),
    )


def letter_needs(letters: Iterable[LetterCount], language: str) -> list[Need]:
    """Letters that never became a delivery, by company and code."""
    found = []
    for one in letters:
        said = say(one.sample, language, None, None)
        found.append(
            Need(
                kind=LETTERS,
                said=said,
                title=said.text,
                count=counted(one.count, "letter") + " that never became a delivery",
                many=one.count,
                since=one.oldest_at,
                company=one.company,
                code=one.sample.code.value,
                klass=one.sample.failure_class.value,
                example=one.count > 1 and bool(one.sample.parameters),
            )
        )
    return found
