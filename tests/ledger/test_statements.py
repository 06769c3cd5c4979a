"""Statements that the driver runs find and change what SQLAlchemy's would."""

from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from streams.ledger.access import load_deliveries, load_entities, load_siblings
from streams.ledger.engine import make_engine
from streams.ledger.rows import delivery_of, entity_columns, entity_of, stored
from streams.ledger.statements import Among, Statement, insert_or_skip, listeners
from streams.ledger.tables import deliveries, entities, lanes
from tests.ledger.conftest import Tell
from tests.ledger.samples import REFUSED, applied, customer, project
from tests.ledger.stage import Stage

LANES = Statement(select(lanes.c.lane).where(Among(lanes.c.lane, "some")).order_by(lanes.c.lane))
OTHERS = Statement(
    select(lanes.c.lane).where(Among(lanes.c.lane, "some", but=True)).order_by(lanes.c.lane)
)


def numbers(s: Stage, statement: Statement, some: list[Any]) -> list[int]:
    return [row[0] for row in s.ledger.read_now(lambda c: statement.rows(c, {"some": some}))]


def test_a_list_of_any_length_is_bound_whole(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        everyone = numbers(s, OTHERS, [])
        assert len(everyone) > 2
        assert numbers(s, LANES, []) == []
        assert numbers(s, LANES, [everyone[0], everyone[2], 99_999]) == [everyone[0], everyone[2]]
        assert numbers(s, OTHERS, everyone[1:]) == everyone[:1]
        assert numbers(s, LANES, list(range(50_000))) == everyone

    tell(story)


def test_texts_in_a_list_are_the_texts_that_they_are(tell: Tell) -> None:
    """Keys of entities hold the unit separator; names may hold quotes and letters of any kind."""
    odd = ["a\x1fb", 'quote " here', "back\\slash", "þjónusta", "100%", "'); DROP TABLE lanes"]
    found = Statement(select(entities.c.entity_key).where(Among(entities.c.entity_key, "keys")))

    async def story(s: Stage) -> None:
        def written(connection: Connection) -> set[str]:
            return {row[0] for row in found.rows(connection, {"keys": odd})}

        engine = make_engine(s.url)
        with engine.begin() as connection:
            load_entities(connection, dict.fromkeys(odd, 1))
            assert written(connection) == set(odd)
        engine.dispose()

    tell(story)


def test_rows_by_place_are_the_rows_by_name(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), p=project(), d=customer("2"))
        claimed = await s.worker.claim()
        await s.worker.settle(claimed["c"], applied())
        await s.worker.settle(claimed["d"], REFUSED)

        def compare(connection: Connection) -> int:
            rows = list(connection.execute(stored))
            loaded = load_deliveries(connection, [row.ordinal for row in rows])
            for row in rows:
                one = loaded[row.ordinal]
                assert one == delivery_of(row)
                assert (one.delivery_id, one.state.value) == (row.delivery_id, row.state)
                assert (one.told, one.rewrite) == (row.told, bool(row.rewrite))
                assert (one.record.topic, one.record.value) == (row.topic, row.value)
                assert (one.received_at, one.last_failed_at) == (
                    row.received_at,
                    row.last_failed_at,
                )
            for row in connection.execute(entity_columns):
                entity = entity_of(row)
                assert (entity.key, entity.in_books) == (row.entity_key, bool(row.in_books))
                assert (entity.content, entity.asked_no_at) == (row.content, row.asked_no_at)
            keys = {row.entity_key for row in rows}
            assert set(load_siblings(connection, keys)) <= keys
            return len(rows)

        assert s.ledger.read_now(compare) == 3

    tell(story)


def test_what_the_database_refuses_is_told_as_sqlalchemy_tells_it(tell: Tell) -> None:
    """The engine knows by these what to try again; the values are somebody's data."""
    twice = Statement(
        update(deliveries).values(delivery_id=bindparam("same")).where(deliveries.c.ordinal > 0)
    )
    nowhere = insert_or_skip(entities, ("entity_key",))

    async def story(s: Stage) -> None:
        await s.take(c=customer(), d=customer("2"))
        engine = make_engine(s.url)
        with engine.connect() as connection:
            with pytest.raises(IntegrityError) as refused, connection.begin():
                twice.run(connection, {"same": "somebody's"})
            assert "somebody's" not in str(refused.value.statement or "")
            assert refused.value.params is None
            with pytest.raises((IntegrityError, OperationalError)), connection.begin():
                nowhere.each(connection, [{"entity_key": "no lane"}])
        engine.dispose()

    tell(story)


def test_a_statement_that_the_database_cannot_read_says_so(tell: Tell) -> None:
    missing = Statement(select(lanes.c.lane).where(Among(lanes.c.lane, "some")))

    async def story(s: Stage) -> None:
        engine = make_engine(s.url)
        expected = (OperationalError, ProgrammingError)
        with engine.connect() as connection, connection.begin() as transaction:
            connection.exec_driver_sql("DROP TABLE lanes")
            with pytest.raises(expected):
                missing.rows(connection, {"some": [1]})
            transaction.rollback()
        engine.dispose()

    tell(story)


def test_listeners_hear_every_statement(tell: Tell) -> None:
    heard: list[tuple[str, Any]] = []

    def listen(sql: str, values: Any) -> None:
        heard.append((sql, values))

    async def story(s: Stage) -> None:
        listeners.append(listen)
        try:
            numbers(s, LANES, [1])
        finally:
            listeners.remove(listen)
        numbers(s, LANES, [2])

    tell(story)
    assert [sql.split()[0] for sql, _ in heard] == ["SELECT"]
