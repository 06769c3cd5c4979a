"""Which integrations there are, by version: what the newest worker to start or reload has read.

Only what opens deliveries counts (`integrations_file.what_opens`), so that hosts may keep their
secrets in different places.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, select, update

from streams.ledger.engine import Operation
from streams.ledger.inserting import insert_new
from streams.ledger.tables import meta

KEY: Final = "integrations"


class NewestSet(msgspec.Struct, frozen=True):
    """The set in force. `digest` is empty before anybody has said one."""

    version: int = 0
    digest: str = ""


_decoder = msgspec.json.Decoder(NewestSet)


def newest_set(connection: Connection) -> NewestSet:
    """The set that was said last."""
    value = connection.execute(select(meta.c.value).where(meta.c.key == KEY)).scalar()
    return NewestSet() if value is None else _decoder.decode(value)


def _say(connection: Connection, digests: Sequence[str]) -> list[NewestSet]:
    return [_say_one(connection, digest) for digest in digests]


# Returns the set in force; its version is a new one where the digest is.
say_set: Operation[str, NewestSet] = Operation("integration-set", 20, _say)


def _say_one(connection: Connection, digest: str) -> NewestSet:
    first = msgspec.json.encode(NewestSet()).decode()
    connection.execute(insert_new(connection, meta), [{"key": KEY, "value": first}])
    query = select(meta.c.value).where(meta.c.key == KEY)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    known = _decoder.decode(connection.execute(query).scalar_one())
    if known.digest == digest:
        return known
    newer = NewestSet(known.version + 1, digest)
    text = msgspec.json.encode(newer).decode()
    connection.execute(update(meta).where(meta.c.key == KEY).values(value=text))
    return newer
