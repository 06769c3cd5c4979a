"""The numbers of the ledger: right, bounded, and read through indexes on both databases."""

import json
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, event, text

from streams.ledger import standing
from streams.ledger.standing import Sample, movable, sample
from streams.local.postgresql_node import PostgresNode
from tests.ledger.conftest import (  # noqa: F401 - fixtures
    Tell,
    _postgresql_ledger,
    ledger_url,
    play,
    tell,
)
from tests.ledger.samples import (
    DK,
    REFUSED,
    RETRY,
    SB1,
    UNSURE,
    customer,
    invoice,
    project,
)
from tests.ledger.stage import Stage
from tests.ledger.test_query_plans import plan, scanned, watched

MANY = 20_000  # enough for PostgreSQL to think twice about reading all of them


def counted(found: Sample) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for one in found.deliveries:
        key = one.integration, one.state
        sums[key] = sums.get(key, 0) + one.many
    return sums


async def some_of_everything(s: Stage) -> None:
    w = s.worker
    await s.take(a=customer("1"), b=customer("2"), c=customer("3"), d=customer("4"))
    await s.take(p=project("7", "4"), i=invoice("1001", "999999"))
    claimed = await w.claim_all()
    s.go_on(10)
    await w.settle(claimed["a"], RETRY)
    await w.intend(claimed["b"])
    await w.settle(claimed["b"], UNSURE)
    await w.settle(claimed["c"], REFUSED)
    s.go_on(50)
    await s.take(e=customer("5"))


def test_every_state_is_counted_with_the_age_of_its_oldest(tell: Tell) -> None:  # noqa: F811
    async def story(s: Stage) -> None:
        await some_of_everything(s)
        found = s.ledger.read_now(lambda c: sample(c, [SB1.id, "unheard-of"]))
        states = [one.state for one in found.deliveries]
        assert counted(found) == {
            (SB1.id, "ready"): 1,
            (SB1.id, "waiting"): 2,
            (SB1.id, "due"): 1,
            (SB1.id, "uncertain"): 1,
            (SB1.id, "sending"): 1,
            (SB1.id, "dead"): 1,
        }
        assert len(states) == len(set(states))
        ages = {one.state: s.now.wall - one.oldest_at for one in found.deliveries}
        assert ages["ready"] == 0
        assert ages["dead"] == 50, "since it failed"
        assert ages["waiting"] == 60, "since it was received"
        assert found.outbox == 2, "an outcome and a letter"
        assert found.outbox_oldest_at == s.now.wall - 50

    tell(story)


def test_counting_stops_where_more_would_say_no_more(
    tell: Tell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standing, "COUNTED_MOST", 3)

    async def story(s: Stage) -> None:
        await s.take(**{f"c{n}": customer(str(100 + n)) for n in range(5)})
        found = s.ledger.read_now(lambda c: sample(c, [SB1.id]))
        assert counted(found) == {(SB1.id, "ready"): 3}

    tell(story)


def looked(s: Stage, *free: str) -> standing.Movable:
    return s.ledger.read_now(
        lambda c: movable(c, "w1", free or (SB1.id,), s.now.elapsed, s.now.boot)
    )


def test_what_could_go_is_seen_and_what_waits_for_another_is_not(
    tell: Tell,  # noqa: F811
) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"), b=customer("2"))
        first = looked(s).heads[SB1.id]
        assert looked(s, "another").heads == {}
        claimed = await w.claim_all()
        assert looked(s).heads == {}, "they are under way"
        await s.take(a2=customer("1", "New name AS"))
        assert looked(s).heads == {}, "its entity is under way"
        await w.settle(claimed["a"], REFUSED)
        assert looked(s).heads[SB1.id] > first

    tell(story)


def test_only_the_lanes_of_the_worker_count(tell: Tell) -> None:  # noqa: F811
    async def story(s: Stage) -> None:
        await s.take(a=customer("1"))
        found = s.ledger.read_now(
            lambda c: movable(c, "somebody else", [SB1.id], s.now.elapsed, s.now.boot)
        )
        assert found == standing.Movable()
        assert looked(s).heads != {}
        with s.ledger.engine.begin() as connection:
            lane = connection.execute(text("SELECT lane FROM deliveries")).scalar()
            connection.execute(
                text("UPDATE lanes SET owner = 'w2' WHERE lane = :lane"), {"lane": lane}
            )
        assert looked(s).heads == {}, "it is another worker's by now"

    tell(story)


def test_a_clock_that_is_not_looked_at_is_seen(tell: Tell) -> None:  # noqa: F811
    async def story(s: Stage) -> None:
        await s.take(a=customer("1"))
        claimed = await s.worker.claim_all()
        await s.worker.settle(claimed["a"], RETRY)
        assert looked(s).overdue_s == 0
        s.go_on(100)
        assert looked(s).overdue_s > 90
        await s.worker.tick()
        assert looked(s).overdue_s == 0

    tell(story)


def test_what_waits_to_be_published_is_seen(tell: Tell) -> None:  # noqa: F811
    async def story(s: Stage) -> None:
        await s.take(a=customer("1"))
        claimed = await s.worker.claim_all()
        assert looked(s).outbox_oldest_at is None
        await s.worker.settle(claimed["a"], REFUSED)
        assert looked(s).outbox_oldest_at == s.now.wall

    tell(story)


async def look_at_all(s: Stage) -> None:
    s.ledger.read_now(lambda c: sample(c, [SB1.id, DK.id]))
    looked(s)


def test_sqlite_scans_nothing_that_grows(tmp_path: Any) -> None:
    plans: dict[str, list[str]] = {}

    async def story(s: Stage) -> None:
        await some_of_everything(s)
        await s.take(f=customer("6"))
        with watched(s) as seen:
            await look_at_all(s)
        plans.update(
            {q: plan(s, q, p) for q, p in seen if q.lstrip().startswith(("SELECT", "WITH"))}
        )

    play(f"sqlite:///{tmp_path / 'ledger.db'}", story)
    assert len(plans) > 15
    bad = {query: found for query, details in plans.items() if (found := scanned(details))}
    assert bad == {}
    assert any("deliveries_standing" in detail for details in plans.values() for detail in details)


def fill(connection: Connection) -> None:
    """Twenty thousand that are done, as copies of one that is there."""
    names = [
        row[0]
        for row in connection.execute(
            text(
                "SELECT column_name FROM information_schema.columns WHERE table_name = "
                "'deliveries' AND column_name NOT IN ('ordinal', 'delivery_id', 'state') "
                "AND table_schema = 'public'"
            )
        )
    ]
    listed = ", ".join(names)
    connection.execute(
        text(
            f"INSERT INTO deliveries (delivery_id, state, {listed}) "  # noqa: S608
            f"SELECT 'copy-' || n, 'applied', {listed} FROM deliveries, "
            f"generate_series(1, {MANY}) AS n WHERE ordinal = (SELECT min(ordinal) FROM deliveries)"
        )
    )
    connection.execute(
        text("UPDATE deliveries SET waits_key = NULL, act_at = NULL WHERE state = 'applied'")
    )


@pytest.mark.postgresql
def test_postgresql_reads_no_table_that_grows_from_end_to_end(
    _postgresql_ledger: str,  # noqa: F811, PT019
    postgresql_node: PostgresNode,
) -> None:
    del postgresql_node
    scans: list[str] = []
    statements: set[str] = set()

    async def story(s: Stage) -> None:
        await some_of_everything(s)
        with s.ledger.engine.begin() as connection:
            fill(connection)
        with s.ledger.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(text("VACUUM ANALYZE deliveries"))

        def note(c: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if statement.lstrip().startswith(("SELECT", "WITH")):
                statements.add(statement)
                raw = c.connection.dbapi_connection.cursor()
                raw.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                scans.extend(_scans(raw.fetchone()[0][0]["Plan"]))

        event.listen(s.ledger._readers, "before_cursor_execute", note)
        await look_at_all(s)

    from tests.ledger.conftest import emptied

    play(emptied(_postgresql_ledger), story)
    assert len(statements) > 15
    assert [table for table in scans if table == "deliveries"] == []


def _scans(node: dict[str, Any]) -> list[str]:
    found = [node["Relation Name"]] if node["Node Type"] == "Seq Scan" else []
    for child in node.get("Plans", []):
        found += _scans(child)
    return found


def test_a_sample_is_a_value() -> None:
    """It goes from one thread to another."""
    assert json.loads(msgspec.json.encode(Sample()))["deliveries"] == []
