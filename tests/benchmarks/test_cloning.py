"""Clones mirror their pattern in every table, with their own numbers, ids, company and lane."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from benchmarks.cloning import Clone, Pattern, clone, delivery_pattern
from streams.ledger import tables
from streams.ledger.engine import make_engine
from streams.ledger.schema import migrate
from streams.local.postgresql_node import PostgresNode

KEY = "c-0000-dk\x1fcustomer\x1f900000000"
LETTER = "aaaaaaaa-0000-0000-0000-000000000000"


def fill(url: str) -> None:
    """One delivery as a worker leaves it, bytes that are no text among its columns."""
    migrate(url)
    event: dict[str, Any] = {
        "source": "/s",
        "ce_id": "dead-900000000",
        "ce_type": "t",
        "digest": b"\xe5\x00\xff",
        "digest_version": 1,
        "topic": "moment.customers",
        "partition": 3,
        "offset": 7,
        "timestamp_ms": 1,
        "key": b"c-0000/900000000",
        "value": b'{"number":"900000000","again":"900000000"}',
        "headers": b"\x91\x92\xa5ce_id\xc4\x0edead-900000000\x00",
        "company": "c-0000",
        "entity_type": "customer",
        "number": "900000000",
        "customer_number": "900000000",
        "received_at": 1.0,
    }
    delivery: dict[str, Any] = {
        "delivery_id": LETTER,
        "event_pk": 1,
        "integration": "c-0000-dk",
        "system": "dkplus",
        "company": "c-0000",
        "entity_key": KEY,
        "entity_type": "customer",
        "number": "900000000",
        "customer_number": "900000000",
        "lane": 3,
        "state": "dead",
        "received_at": 1.0,
    }
    out: dict[str, Any] = {
        "lane": 3,
        "topic": "moment-sync.failures",
        "value": LETTER.encode(),
        "headers": b"",
        "delivery_ordinal": 1,
        "created_at": 1.0,
    }
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(tables.inbox), event)
        connection.execute(insert(tables.deliveries), delivery)
        connection.execute(insert(tables.entities), {"entity_key": KEY, "lane": 3})
        connection.execute(insert(tables.outbox), [out, out])
    engine.dispose()


def clones() -> list[Clone]:
    return [
        Clone(n % 8, (f"c-000{n}", f"90000000{n}", f"aaaaaaaa-0000-0000-0000-00000000000{n}"))
        for n in range(1, 6)
    ]


def check(url: str) -> None:
    fill(url)
    pattern = delivery_pattern(url, KEY, ("c-0000", "900000000"))
    assert clone(url, pattern, clones()) == 5
    engine = make_engine(url)
    with engine.begin() as connection:
        for table, count in ((tables.deliveries, 6), (tables.outbox, 12), (tables.entities, 6)):
            assert connection.scalar(select(func.count()).select_from(table)) == count
        joined = select(tables.deliveries, tables.inbox).join(
            tables.inbox, tables.inbox.c.event_pk == tables.deliveries.c.event_pk
        )
        rows = [
            row._mapping for row in connection.execute(joined.order_by(tables.deliveries.c.ordinal))
        ]
        assert len(rows) == 6
        fourth = rows[4]
        assert fourth[tables.deliveries.c.entity_key] == "c-0004-dk\x1fcustomer\x1f900000004"
        assert fourth[tables.deliveries.c.delivery_id].endswith("4")
        assert (fourth[tables.deliveries.c.lane], fourth[tables.inbox.c.partition]) == (4, 4)
        assert bytes(fourth[tables.inbox.c.value]) == b'{"number":"900000004","again":"900000004"}'
        assert bytes(fourth[tables.inbox.c.headers]).endswith(b"dead-900000004\x00")
        assert bytes(fourth[tables.inbox.c.digest]) == b"\xe5\x00\xff"
        told = select(tables.outbox.c.value).where(tables.outbox.c.delivery_ordinal == 5)
        assert {bytes(value) for (value,) in connection.execute(told)} == {
            fourth[tables.deliveries.c.delivery_id].encode()
        }
        # The ledger numbers on after them.
        fresh = {**rows[0], "delivery_id": "z", "event_pk": 99}
        wanted = {c.name: fresh[c.name] for c in tables.deliveries.c if c.name in fresh}
        del wanted["ordinal"]
        made = connection.execute(insert(tables.deliveries), wanted).inserted_primary_key
        assert made is not None
        assert made[0] == 7
    engine.dispose()


def test_clones_on_sqlite_mirror_their_pattern(tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.mark.postgresql
def test_clones_on_postgresql_mirror_their_pattern(postgresql_node: PostgresNode) -> None:
    url = postgresql_node.create_database("benchmark_cloning")
    try:
        check(url)
    finally:
        postgresql_node.drop_database("benchmark_cloning")


def test_a_pattern_that_is_not_there_is_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    fill(url)
    with pytest.raises(LookupError, match="0 deliveries"):
        delivery_pattern(url, "nobody", ())


def test_nothing_to_clone_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    fill(url)
    assert clone(url, Pattern((), ("x",)), []) == 0
