"""The offline checker: a whole history in, every violation out.

Pure, and knows nothing of the implementation: only what was sent and meant, what was told on the
outcome topics, and what the books did. What a restore from a copy makes unavoidable is allowed in
its time alone: the ledger forgets, so a fact may be told anew and an older state sent again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from schemas.deadletters import read_letter
from schemas.lane import lane_key
from schemas.outcomes import FINAL, Outcome, OutcomeKind, decode_outcome
from streams.ops.chaos.allowances import DISCARD, Allowances
from streams.ops.chaos.books_check import check_books
from streams.ops.chaos.record import Emitted, EventKey, Fate, History, Told, Verdict, Violation

DEADLETTERS: Final = "moment-sync.deadletters"
CE_ID: Final = "ce_id"
BESIDE_A_RESYNC: Final = frozenset({"unchanged", "superseded", "stale"})

# What each count of the summary is the sum of; all other kinds stand in `violations` alone.
COUNTED: Final = {
    "lost": {"lost", "not-booked", "missing", "letter-missing"},
    "doubled": {"booked-twice", "doubled"},
    "out_of_order": {"before-parent", "older-over-newer", "final-content", "told-after-final"},
    "without_final_outcome": {"without-final-outcome", "command-lost"},
    "double_final_outcome": {"double-final-outcome"},
}


class Fact:
    """One outcome as it was first told, with its id and when."""

    def __init__(self, told: Told, outcome: Outcome, ce_id: str) -> None:
        self.told = told
        self.outcome = outcome
        self.ce_id = ce_id

    @property
    def final(self) -> bool:
        """Whether nothing more should come of the delivery."""
        return self.outcome.outcome in FINAL


def check(history: History) -> Verdict:
    """Judge a history."""
    found = [*_Judge(history).violations(), *check_books(history)]
    counts = Counter(violation.kind for violation in found)
    sums = {name: sum(counts[kind] for kind in kinds) for name, kinds in COUNTED.items()}
    return Verdict(**sums, violations=tuple(found))


class _Judge:
    """What was told, against what was sent."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.events: dict[EventKey, Emitted] = {}
        for one in history.emitted:
            if one.entity and not one.duplicate:
                self.events[one.event] = one
        self.allowed = Allowances(history.mischief)
        self.facts: dict[tuple[EventKey, str], list[Fact]] = defaultdict(list)
        self.letters: dict[str, list[tuple[Told, dict[str, str]]]] = defaultdict(list)

    def violations(self) -> Iterator[Violation]:
        if not self.history.quiet:
            yield Violation(kind="not-quiet", text="it was still at work when it was given up on")
        yield from self._read()
        yield from self._deliveries()
        yield from self._letters()

    # --- reading ------------------------------------------------------------------------------

    def _read(self) -> Iterator[Violation]:
        """Sort the records into facts and letters; a repeat must be the record it repeats."""
        first: dict[str, Fact] = {}
        for told in sorted(self.history.told, key=lambda one: (one.timestamp_ms, one.offset)):
            if told.topic == DEADLETTERS:
                says = read_letter(told.headers)
                self.letters[says.get("letter-id", "")].append((told, says))
                continue
            ce_id = dict(told.headers).get(CE_ID, b"").decode()
            fact = Fact(told, decode_outcome(told.value or b""), ce_id)
            before = first.get(ce_id)
            if before is not None and before.told.value == told.value:
                continue
            if before is not None and not self.allowed.forgotten(before.told, told):
                text = f"{ce_id} was told twice, and not alike"
                yield Violation(kind="repeat-differs", text=text)
            first[ce_id] = fact
            outcome = fact.outcome
            self.facts[(outcome.event.source, outcome.event.id), outcome.integration].append(fact)
            yield from _form(fact)

    # --- deliveries ---------------------------------------------------------------------------

    def _deliveries(self) -> Iterator[Violation]:
        for (event, integration), facts in self.facts.items():
            if integration not in getattr(self.events.get(event), "fates", {}):
                text = f"{integration}: event {event[1]} has outcomes and should have none"
                yield Violation(kind="unexpected-outcome", text=text)
                continue
            more = len({fact.outcome.delivery_id for fact in facts}) - 1
            if more > self.allowed.resyncs(integration):
                text = f"{integration}: event {event[1]} has several deliveries"
                yield Violation(kind="several-deliveries", text=text)
        for event, emitted in self.events.items():
            for integration, fate in emitted.fates.items():
                name = f"{integration}: event {event[1]} ({emitted.entity} v{emitted.version})"
                facts = self.facts.get((event, integration), [])
                for kind, text in self._event(emitted, integration, fate, facts):
                    yield Violation(kind=kind, text=f"{name} {text}")

    def _event(
        self, emitted: Emitted, integration: str, fate: Fate, facts: Sequence[Fact]
    ) -> Iterator[tuple[str, str]]:
        """One event in one integration: its delivery, and those that a resync opened besides."""
        by_delivery: dict[str, list[Fact]] = defaultdict(list)
        for fact in facts:
            by_delivery[fact.outcome.delivery_id].append(fact)
        if not by_delivery and not self.allowed.may_have_none(emitted, integration):
            yield "without-final-outcome", "has no final outcome; told: nothing"
            yield "lost", "was never told of"
        ends = []
        for told in by_delivery.values():
            finals = [fact for fact in told if fact.final]
            ends += finals
            yield from self._delivery(fate, told, finals)
        resynced = self.allowed.resyncs(integration) > 0
        if resynced and any(_fits(fate, fact) for fact in ends):
            # One of them carried the state; the others found that done, or gone beyond.
            fate = msgspec.structs.replace(fate, outcomes=fate.outcomes | BESIDE_A_RESYNC)
        for fact in ends:
            yield from self._judged(emitted, fate, fact)

    def _delivery(
        self, fate: Fate, facts: Sequence[Fact], finals: Sequence[Fact]
    ) -> Iterator[tuple[str, str]]:
        if not finals:
            told = ", ".join(fact.outcome.outcome.value for fact in facts)
            yield "without-final-outcome", f"has no final outcome; told: {told}"
            return
        name = facts[0].outcome.delivery_id
        for earlier, later in pairwise(finals):
            again = later.outcome.replay_of is not None and self.allowed.commanded(name)
            if not again and not self.allowed.forgotten(earlier.told, later.told):
                kinds = f"{earlier.outcome.outcome.value} and {later.outcome.outcome.value}"
                yield "double-final-outcome", f"has two final outcomes: {kinds}"
        if not self.allowed.commanded(name):
            yield from self._told_after(facts, finals[0])
        order = self.allowed.must_act(name, fate)
        if order is not None and not any(_carried_out(order, fact) for fact in finals):
            yield "command-lost", f"was named by a {order} that nothing came of"
        dead = any(fact.outcome.outcome is OutcomeKind.DEAD for fact in finals)
        letters = self.letters.get(name, [])
        if dead and not letters:
            yield "letter-missing", "is dead and has no letter"
        if letters and not dead:
            yield "letter-unexpected", "has a letter and is not dead"

    def _told_after(self, facts: Sequence[Fact], final: Fact) -> Iterator[tuple[str, str]]:
        """Of two topics only times tell what came first; in one millisecond nothing does."""
        for fact in facts[facts.index(final) + 1 :]:
            told, end = fact.told, final.told
            at_once = told.topic != end.topic and told.timestamp_ms == end.timestamp_ms
            if fact.final or at_once:
                continue
            if not self.allowed.forgotten(final.told, fact.told):
                yield "told-after-final", f"was told as {fact.outcome.outcome.value} after its end"

    def _judged(self, emitted: Emitted, fate: Fate, fact: Fact) -> Iterator[tuple[str, str]]:
        outcome = fact.outcome
        discarded = outcome.outcome is OutcomeKind.DISCARDED
        if discarded and self.allowed.discarded(outcome.delivery_id):
            return
        if outcome.outcome.value not in fate.outcomes:
            why = f" ({outcome.failure.code.value})" if outcome.failure else ""
            wanted = " or ".join(sorted(fate.outcomes))
            yield "wrong-outcome", f"is {outcome.outcome.value}{why} and should be {wanted}"
        elif fate.code is not None and outcome.failure and outcome.failure.code.value != fate.code:
            yield "wrong-code", f"failed as {outcome.failure.code.value} and should as {fate.code}"
        if f"{outcome.entity.type.value}/{outcome.entity.number}" != emitted.entity:
            yield "wrong-entity", f"was told of {outcome.entity.type.value}/{outcome.entity.number}"

    # --- letters ------------------------------------------------------------------------------

    def _letters(self) -> Iterator[Violation]:
        places = {
            (one.topic, str(one.partition), str(one.offset)): one for one in self.history.emitted
        }
        told: Counter[tuple[str, str, str]] = Counter()
        for letter_id, letters in self.letters.items():
            for earlier, later in pairwise(letters):
                again = self.allowed.commanded(letter_id)
                if (
                    earlier[0].headers != later[0].headers
                    and not again
                    and not self.allowed.forgotten(earlier[0], later[0])
                ):
                    text = f"letter {letter_id} was told twice, and not alike"
                    yield Violation(kind="letter-repeat-differs", text=text)
            record, says = letters[0]
            where = (
                says.get("original-topic", ""),
                says.get("original-partition", ""),
                says.get("original-offset", ""),
            )
            emitted = places.get(where)
            name = f"the letter of {'/'.join(where)}"
            if emitted is None:
                yield Violation(kind="letter-unexpected", text=f"{name} is of no record sent")
                continue
            if (record.key, record.value) != (emitted.key, emitted.value):
                yield Violation(kind="letter-changed", text=f"{name} is not the record sent")
            if "delivery-id" in says:
                continue
            told[where] += 1
            if emitted.letter != says.get("code"):
                text = f"{name} says {says.get('code')} and should say {emitted.letter}"
                yield Violation(kind="letter-unexpected", text=text)
        for where, emitted in places.items():
            if emitted.letter is not None and told[where] != 1:
                text = f"{'/'.join(where)} has {told[where]} letters and should have one"
                kind = "letter-missing" if not told[where] else "letter-twice"
                yield Violation(kind=kind, text=text)


def _form(fact: Fact) -> Iterator[Violation]:
    """What every outcome must be like, whatever it says."""
    outcome = fact.outcome
    name = f"{outcome.integration}: event {outcome.event.id}"
    if outcome.final != fact.final:
        text = f"{name}: {outcome.outcome.value} says final={outcome.final}"
        yield Violation(kind="final-flag", text=text)
    key = lane_key(outcome.company, outcome.entity.customer_number)
    if fact.told.key != key:
        text = f"{name}: told under {fact.told.key!r} instead of {key!r}"
        yield Violation(kind="wrong-key", text=text)


def _fits(fate: Fate, fact: Fact) -> bool:
    return fact.outcome.outcome.value in fate.outcomes


def _carried_out(order: str, fact: Fact) -> bool:
    if order == DISCARD:
        return fact.outcome.outcome is OutcomeKind.DISCARDED
    return fact.outcome.replay_of is not None
