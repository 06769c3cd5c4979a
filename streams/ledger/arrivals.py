"""What ingest hands to the ledger, decoded: a fetch with its events, letters and commands."""

import msgspec

from schemas.wire import Outgoing, Record


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery to be opened, but for its event's row number."""

    delivery_id: str
    integration: str
    system: str
    entity_key: str
    lane: int


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could be read and whose company is set up."""

    record: Record
    source: str
    ce_id: str
    ce_type: str
    digest: bytes
    digest_version: int
    company: str
    entity_type: str
    number: str
    customer_number: str
    sequence: int | None
    received_at: float
    deliveries: tuple[NewDelivery, ...]


class NewLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that becomes no delivery, with its dead letter as it is to be published."""

    record: Record
    letter_id: str
    company: str | None
    failure: bytes  # JSON of a `Failure`
    received_at: float
    lane: int
    outgoing: Outgoing


class NewCommand(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's command, checked."""

    source: str
    ce_id: str
    command: bytes  # JSON
    lane: int
    received_at: float


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """One fetch of one partition, decoded. `next_offset` is where reading goes on."""

    topic: str
    partition: int
    next_offset: int
    events: tuple[NewEvent, ...] = ()
    letters: tuple[NewLetter, ...] = ()
    commands: tuple[NewCommand, ...] = ()


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What a fetch came to: integrations with something to do, and how many of what."""

    integrations: frozenset[str]
    events: int
    duplicates: int
    letters: int
    commands: int
