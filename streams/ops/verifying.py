"""`moment-sync verify`: one integration's books against the ledger, page by page.

Of what was read only a mark of eight bytes a record is kept, and what is wrong. The first pass
goes through the books, the second through the ledger for what the first did not meet.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from connectors.books_reading import BooksReader, Facts, Page, Seen
from connectors.integrations import DATA_TYPE, Integration, System
from connectors.port import Found, Hold, Identity, Refused
from connectors.systems import SYSTEMS, load
from schemas.catalogue.catalogue import system_name
from schemas.events import EntityType
from schemas.failures import Change
from streams.ledger import recorded
from streams.ledger.recorded import Recorded
from streams.ops.asking import Asker, BooksAwayError
from streams.ops.command_base import CommandEnds, Exit
from streams.ops.verify_sides import Ask, Bookings, Entities, Marks, Series, Source, Span
from streams.ops.verify_words import WORDS, Code

Finding = dict[str, Any]


def _reader_of(system: System) -> BooksReader:
    """Whatever reads the books of a system. Ends the command (2) where nothing does."""
    target = SYSTEMS[system].books
    if not target:
        raise CommandEnds(Exit.WRONG, f"the connector of {system} cannot read books for verify")
    reader: BooksReader = load(target)()
    return reader


class Verification:
    """One integration held against its books. `run` once; then read `findings` and `notes`."""

    def __init__(
        self,
        asker: Asker,
        ask: Ask,
        *,
        span: Span,
        settled_before: datetime,
        advance: Callable[[int], None],
    ) -> None:
        self.asker = asker
        self.integration: Integration = asker.integration
        self.reader = _reader_of(self.integration.system)
        self.ask = ask
        self.span = span
        self.settled_before = settled_before
        self.advance = advance
        self.findings: list[Finding] = []
        self.notes: list[str] = []

    async def run(self) -> None:
        """Compare everything. Raises `BooksAwayError` where the books cannot be read."""
        name = self.integration.id
        found = await self.asker.identify()
        if not isinstance(found, Identity):
            raise BooksAwayError(found.failure)
        identity = self.ask(lambda connection: recorded.books_of(connection, name))
        if identity not in (None, found.books):
            self.tell(Code.OTHER_BOOKS, "")
            return
        for entity_type in EntityType:
            source: Source = Entities(self.ask, name, entity_type)
            if entity_type is EntityType.INVOICE:
                source = Bookings(self.ask, found.books)
            wanted = (
                entity_type is EntityType.INVOICE
                and self.integration.carries(DATA_TYPE[entity_type])
            ) or source.after("")
            if wanted:
                await _Comparison(self, entity_type, source).run()

    def tell(
        self,
        code: Code,
        entity: str,
        *,
        ours: str = "",
        other: str = "",
        changes: Sequence[Change] = (),
    ) -> None:
        """Note a finding, in the words of the table."""
        sentence = WORDS[code]
        listed = "; ".join(
            f"{one.field} is {one.from_ or 'empty'} there and {one.to} here" for one in changes
        )
        values = {
            "entity": entity.replace("/", " ", 1),
            "system": system_name(self.integration.system.value, language="en"),
            "ours": ours,
            "other": other,
            "changes": listed,
        }
        text = sentence.text.format(**values)
        finding: Finding = {
            "integration": self.integration.id,
            "kind": sentence.kind.value,
            "code": code.value,
            **({"entity": entity} if entity else {}),
            "text": text[:1].upper() + text[1:],
            "action": sentence.action.format(**values),
        }
        if changes:
            finding["changes"] = [
                {"field": one.field, "from": one.from_, "to": one.to} for one in changes
            ]
        self.findings.append(finding)


class _Comparison:
    """One entity type. What is met of ours under another reference is judged at the end."""

    def __init__(self, whole: Verification, entity_type: EntityType, source: Source) -> None:
        self.whole = whole
        self.type = entity_type
        self.source = source
        self.met = Marks()
        self.series = Series()
        self.others: dict[str, list[tuple[Recorded, Seen]]] = {}

    async def run(self) -> None:
        whole = self.whole
        if self.type is EntityType.INVOICE:
            self._each(lambda one: self.series.add(one.number))
        cursor: str | None = None
        while True:
            question = partial(
                whole.reader.page, whole.integration, self.type, whole.span.first, cursor
            )
            page = await whole.asker.ask(question)
            if not isinstance(page, Page):
                raise BooksAwayError(page.failure)
            await self._judge(page.records)
            if page.cut:
                whole.notes.append(
                    f"{whole.integration.id}: the books give out no more {self.type.value}s than "
                    "were read; name a later --from to see the rest"
                )
            if page.next is None:
                break
            cursor = page.next
        self.met.seal()
        await self._second_pass()
        self._judge_others()

    def _each(self, act: Callable[[Recorded], None]) -> None:
        after = ""
        while batch := self.source.after(after):
            for one in batch:
                act(one)
            after = batch[-1].number

    # --- through the books ---------------------------------------------------------------------

    async def _judge(self, records: Sequence[Seen]) -> None:
        known = self.source.by_number({n for seen in records for n in seen.numbers})
        pairs: list[tuple[Recorded, Seen]] = []
        strangers: list[Seen] = []
        for seen in records:
            ours = next((known[n] for n in seen.numbers if n in known), None)
            if ours is None:
                strangers.append(seen)
            elif ours.reference is None or ours.reference.id == seen.reference.id:
                self.met.add(ours.number)
                self.whole.advance(1)
                if self._counts(seen):
                    pairs.append((ours, seen))
            elif seen.alike and not seen.undone:
                self.others.setdefault(ours.number, []).append((ours, seen))
        await self._compare(pairs)
        if self.type is EntityType.INVOICE:
            self._judge_strangers(strangers)

    async def _compare(self, found: Sequence[tuple[Recorded, Seen]]) -> None:
        whole = self.whole
        pairs = []
        for ours, seen in found:
            if seen.undone:
                code = Code.REVERSED if self.type is EntityType.INVOICE else Code.DELETED
                whole.tell(code, self._entity(ours.number), ours=_called(ours))
            elif ours.content is not None:
                pairs.append((ours, seen))
        contents = tuple((ours.content or b"", seen) for ours, seen in pairs)
        if not contents:
            return
        question = partial(whole.reader.differences, whole.integration, self.type, contents)
        answer = await whole.asker.ask(question)
        if isinstance(answer, Hold | Refused):
            raise BooksAwayError(answer.failure)
        for (ours, _), changes in zip(pairs, answer, strict=True):
            if changes:
                entity = self._entity(ours.number)
                whole.tell(Code.FIELDS_DIFFER, entity, ours=_called(ours), changes=changes)

    def _judge_strangers(self, records: Sequence[Seen]) -> None:
        """Invoices that the ledger did not book: unknown, where they look like ours."""
        numbers = [seen.numbers[0] for seen in records if seen.numbers]
        name = self.whole.integration.id
        open_, dead = self.whole.ask(
            lambda connection: recorded.open_and_dead(connection, name, numbers)
        )
        for seen in records:
            number = seen.numbers[0] if seen.numbers else ""
            if seen.undone or number in open_ or not self._counts(seen):
                continue
            like_ours = seen.alike and (number in dead or self.series.holds(number))
            if seen.marked or like_ours:
                self._tell_unknown(number, seen)

    # --- through the ledger ----------------------------------------------------------------------

    async def _second_pass(self) -> None:
        after = ""
        while batch := self.source.after(after):
            for one in batch:
                if one.number not in self.met and self._is_due(one):
                    await self._look_again(one)
            after = batch[-1].number

    def _is_due(self, one: Recorded) -> bool:
        """Whether it must be there by now, and counts."""
        if one.at >= self.whole.settled_before.timestamp():
            return False
        if any(self._facts(one).fit(seen.facts) for _, seen in self.others.get(one.number, ())):
            return False  # told of with that other record
        if self.type is not EntityType.INVOICE:
            return True
        booked_on = datetime.fromtimestamp(one.at, UTC).date()
        return self.whole.span.holds(self._facts(one).day or booked_on)

    async def _look_again(self, one: Recorded) -> None:
        """Pages shift while they are read: nothing is missing before it was asked for itself."""
        whole, entity = self.whole, self._entity(one.number)
        whole.advance(1)
        found = await whole.asker.find(self.type, one.number)
        if isinstance(found, Refused):
            hits = found.failure.parameters.get("hits", "?")
            whole.tell(Code.THERE_TWICE, entity, ours=_called(one), other=hits)
        elif not isinstance(found, Found) or one.number in self.others:
            whole.tell(Code.NOT_THERE, entity, ours=_called(one))
        elif one.reference is not None and found.reference.id != one.reference.id:
            other = found.reference.number
            whole.tell(Code.ANOTHER_RECORD, entity, ours=_called(one), other=other)

    def _judge_others(self) -> None:
        for number, found in self.others.items():
            for ours, seen in found:
                if self._counts(seen):
                    self._judge_other(number, ours, seen)

    def _judge_other(self, number: str, ours: Recorded, seen: Seen) -> None:
        """A second record of a number of ours: doubled, reversed, in its place, or a stranger."""
        facts, entity = self._facts(ours), self._entity(number)
        there, other = number in self.met, seen.reference.number
        if facts.fit(seen.facts):
            code = Code.THERE_TWICE if there else Code.ANOTHER_RECORD
            self.whole.tell(code, entity, ours=_called(ours), other=other)
        elif there and facts.same_customer(seen.facts):
            self.whole.tell(Code.REVERSED, entity, ours=_called(ours), other=f" by {other}")
        else:
            self._tell_unknown(number, seen)

    # --- words -----------------------------------------------------------------------------------

    def _tell_unknown(self, number: str, seen: Seen) -> None:
        self.whole.tell(
            Code.NOT_OURS, self._entity(number) if number else "", other=seen.reference.number
        )

    def _facts(self, one: Recorded) -> Facts:
        if one.content is None:
            return Facts()
        return self.whole.reader.facts(self.type, one.content)

    def _counts(self, seen: Seen) -> bool:
        return self.type is not EntityType.INVOICE or self.whole.span.holds(seen.facts.day)

    def _entity(self, number: str) -> str:
        return f"{self.type.value}/{number}"


def _called(one: Recorded) -> str:
    """What the books call it, for a person."""
    return one.reference.number if one.reference is not None else "?"
