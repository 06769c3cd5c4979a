"""Ingest's other half: records become events, deliveries, commands and letters.

Decoding and fan-out happen here, on the event loop; one operation of the ledger writes it all.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from connectors.integrations import DATA_TYPE, Integration
from schemas.catalogue.catalogue import render
from schemas.codec import Event, Unreadable, decode_command
from schemas.commands import COMMANDS_TOPIC
from schemas.commands import Command as CommandEvent
from schemas.deadletters import Letter, encode_letter
from schemas.events import customer_number_of
from schemas.failures import Failure, FailureCode
from schemas.lane import lane_key, partition_of
from schemas.wire import Record
from streams.book_rules import decoded, same_content
from streams.core.model import entity_key
from streams.ledger.arrivals import Fetch, NewCommand, NewDelivery, NewEvent, NewLetter, Taken
from streams.ledger.engine import Ledger
from streams.ledger.intake import take_operation
from streams.ledger.offsets import resume_at
from streams.ledger.restored import Restored
from streams.ledger.rules import Moment

UNKNOWN_LANGUAGE = "en"  # a letter that names no integration speaks English


class LedgerIntake:
    """The `Intake` port over a ledger. `woken` is told which integrations have something to do."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        integrations: Callable[[], Mapping[str, Sequence[Integration]]],
        partitions: int,
        now: Callable[[], datetime],
        version: str,
        topic_prefix: str,
        woken: Callable[[Taken], None],
        restored: Callable[[], Restored] | None = None,
        sought: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._integrations = integrations  # by company
        self._partitions = partitions
        self._now = now
        self._version = version
        self._prefix = topic_prefix
        self._woken = woken
        self._restored = restored or self._restored_now
        self._sought = sought
        self._take = take_operation(same_content, self._reused)

    async def take(self, records: Sequence[Record]) -> None:
        """Write down a whole fetch of one partition; returns when it is durable."""
        if not records:
            return
        taken = await self._ledger.submit(self._take, self._read(records))
        self._woken(taken)

    async def resume_at(
        self, committed: Mapping[tuple[str, int], int]
    ) -> Mapping[tuple[str, int], int]:
        """Where to read on, if Kafka's commit is ahead of the ledger; the ledger is marked then."""
        behind = await resume_at(self._ledger, committed, self._restored)
        self._sought()
        return behind

    def _restored_now(self) -> Restored:
        return Restored(clock=lambda: Moment(wall=self._now().timestamp(), elapsed=0.0, boot=""))

    def _read(self, records: Sequence[Record]) -> Fetch:
        at = self._now().timestamp()
        by_company = self._integrations()
        events: list[NewEvent] = []
        letters: list[NewLetter] = []
        commands: list[NewCommand] = []
        for record in records:
            match (
                self._command(record, at)
                if record.topic == COMMANDS_TOPIC
                else self._event(record, by_company, at)
            ):
                case NewEvent() as event:
                    events.append(event)
                case NewLetter() as letter:
                    letters.append(letter)
                case NewCommand() as command:
                    commands.append(command)
        last = records[-1]
        return Fetch(
            topic=last.topic,
            partition=last.partition,
            next_offset=last.offset + 1,
            events=tuple(events),
            letters=tuple(letters),
            commands=tuple(commands),
        )

    def _command(self, record: Record, at: float) -> NewCommand | NewLetter:
        command = decode_command(record)
        if not isinstance(command, CommandEvent):
            return self._letter(record, command, at)
        key = record.key or command.source.encode()
        return NewCommand(
            source=command.source,
            ce_id=command.id,
            command=msgspec.json.encode(command),
            lane=partition_of(key, self._partitions),
            received_at=at,
        )

    def _event(
        self, record: Record, by_company: Mapping[str, Sequence[Integration]], at: float
    ) -> NewEvent | NewLetter:
        found = read_event(record, by_company, self._partitions, at)
        return found if isinstance(found, NewEvent) else self._letter(record, found, at)

    def _reused(self, event: NewEvent) -> NewLetter:
        """The letter of an event whose id came before with other content."""
        failure = Failure(
            code=FailureCode.EVENT_ID_REUSED,
            parameters={"id": event.ce_id, "source": event.source},
        )
        why = Unreadable(failure=failure, company=event.company, event_id=event.ce_id)
        return self._letter(event.record, why, event.received_at)

    def _letter(self, record: Record, why: Unreadable, at: float) -> NewLetter:
        letter_id = letter_id_of(record, self._prefix)
        words = render(why.failure, language=UNKNOWN_LANGUAGE, system="", entity_type="", number="")
        moment = datetime.fromtimestamp(at, UTC)
        letter = Letter(
            letter_id=letter_id,
            code=why.failure.code,
            klass=why.failure.failure_class,
            text=words.text,
            action=words.action,
            version=self._version,
            field=why.failure.field,
            company=why.company,
            first_failed_at=moment,
            last_failed_at=moment,
            trace=why.traceparent,
        )
        return NewLetter(
            record=record,
            letter_id=letter_id,
            company=why.company,
            failure=msgspec.json.encode(why.failure),
            received_at=at,
            lane=record.partition,
            outgoing=encode_letter(letter, record, topic_prefix=self._prefix),
        )


def read_event(
    record: Record,
    by_company: Mapping[str, Sequence[Integration]],
    partitions: int,
    at: float,
) -> NewEvent | Unreadable:
    """The event of a record with the deliveries that it opens, or why there are none."""
    event = decoded(record)
    if not isinstance(event, Event):
        return event
    company = event.data.company
    integrations = by_company.get(company)
    if integrations is None:
        unknown = Failure(
            code=FailureCode.COMPANY_UNKNOWN,
            parameters={"company": company},
            field="$.company",
        )
        return Unreadable(
            failure=unknown,
            company=company,
            event_id=event.id,
        )
    customer_number = customer_number_of(event.data)
    lane = partition_of(lane_key(company, customer_number), partitions)
    number = event.data.number
    return NewEvent(
        record=record,
        source=event.source,
        ce_id=event.id,
        ce_type=event.type,
        digest=event.digest,
        digest_version=event.digest_version,
        company=company,
        entity_type=event.entity_type.value,
        number=number,
        customer_number=customer_number,
        sequence=event.sequence,
        received_at=at,
        deliveries=tuple(
            NewDelivery(
                delivery_id=delivery_id(event.source, event.id, one.id),
                integration=one.id,
                system=one.system.value,
                entity_key=entity_key(one.id, event.entity_type, number),
                lane=lane,
            )
            for one in integrations
            if one.carries(DATA_TYPE[event.entity_type])
        ),
    )


def delivery_id(source: str, event_id: str, integration: str) -> str:
    """The id of the delivery of an event to an integration: the same in every ledger."""
    return _hashed(f"{source}\0{event_id}\0{integration}")


def letter_id_of(record: Record, prefix: str) -> str:
    """The id of the letter of a record: the same however often Kafka gives it.

    Its time stamp and content belong to it: a topic that was made anew has the same places again.
    """
    place = f"{prefix}{record.topic}\0{record.partition}\0{record.offset}"
    content = hashlib.blake2b(digest_size=16)
    for part in (record.key, record.value):
        content.update(b"-" if part is None else b"%d:%b" % (len(part), part))
    return _hashed(f"{place}\0{record.timestamp_ms}\0{content.hexdigest()}")


def _hashed(text: str) -> str:
    """Thirty-two hex digits, in the form of a GUID."""
    digits = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
