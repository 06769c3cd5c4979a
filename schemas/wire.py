"""A Kafka record as it came, before anybody has read it."""

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of an input topic, byte for byte.

    `headers` keeps order and repeats. `timestamp_ms` is the record's own, in milliseconds.
    """

    topic: str  # with the configured prefix taken off
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One record to be produced. `topic` is without the configured prefix."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
