"""The engine under trouble: nothing is lost, nothing is written twice."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from streams.ledger import engine as engine_module
from streams.ledger.engine import Ledger, LedgerClosedError, Operation, make_engine
from tests.conftest import BackgroundErrors
from tests.ledger.conftest import Tell, play
from tests.ledger.samples import RETRY, applied, customer
from tests.ledger.stage import Stage
from tests.ledger.workers import Worker

DEADLINE_S = 20.0
SHORT_BUSY_MS = 20


class Writer:
    """An operation that writes a word per item into `meta`, and does what it is told besides."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.trouble: list[str] = []  # what to do, once each
        self.operation: Operation[str, str] = Operation("word", 50, self._write)

    def _write(self, connection: Connection, items: Sequence[str]) -> list[str]:
        self.calls.append(list(items))
        for item in items:
            if item == "bad":
                raise ZeroDivisionError(item)
            connection.execute(text("INSERT INTO meta VALUES (:w, :w)"), {"w": item})
        if self.trouble and self.trouble.pop() == "cut":
            cut_off(connection)
        return [item.upper() for item in items]


def cut_off(connection: Connection) -> None:
    """End this connection's session from another one, as an administrator would."""
    pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
    other = make_engine(connection.engine.url)
    with other.begin() as second:
        second.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    other.dispose()


def words(s: Stage) -> list[str]:
    return sorted(row.key for row in s.rows("SELECT key FROM meta"))


async def in_trouble(ledger: Ledger) -> None:
    """Wait until a ledger has seen that it cannot be written."""

    def wait() -> bool:
        end = time.monotonic() + DEADLINE_S
        while ledger.unwritable is None and time.monotonic() < end:
            time.sleep(0.005)
        return ledger.unwritable is not None

    assert await asyncio.to_thread(wait)


class Hurdle:
    """Keeps the writer thread in an operation until it is let go: what comes meanwhile gathers."""

    def __init__(self, ledger: Ledger) -> None:
        self._go = threading.Event()
        self._reached = threading.Event()
        self.passed = ledger.submit(Operation("hurdle", 0, self._stand), None)

    def _stand(self, _connection: Connection, items: Sequence[None]) -> Sequence[None]:
        self._reached.set()
        assert self._go.wait(DEADLINE_S)
        return items

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, DEADLINE_S)

    def let_go(self) -> None:
        self._go.set()


def test_what_gathers_is_one_commit(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        writer, hurdle = Writer(), Hurdle(s.ledger)
        await hurdle.reached()
        futures = [s.ledger.submit(writer.operation, f"w{n}") for n in range(100)]
        before = s.ledger.commits
        hurdle.let_go()
        assert await asyncio.gather(*futures) == [f"W{n}" for n in range(100)]
        assert s.ledger.commits == before + 2
        assert len(writer.calls) == 1

    tell(story)


def test_an_item_that_fails_alone_does_not_poison_the_others(
    tell: Tell, background_errors: BackgroundErrors
) -> None:
    async def story(s: Stage) -> None:
        writer, other, hurdle = Writer(), Writer(), Hurdle(s.ledger)
        second = Operation("second", 60, other.operation.handler)
        await hurdle.reached()
        futures = [s.ledger.submit(writer.operation, w) for w in ("a", "bad", "b")]
        futures.append(s.ledger.submit(second, "c"))
        hurdle.let_go()
        told = await asyncio.gather(*futures, return_exceptions=True)
        assert [told[0], told[2], told[3]] == ["A", "B", "C"]
        assert isinstance(told[1], ZeroDivisionError)
        assert words(s) == ["a", "b", "c"]
        assert background_errors.take("ledger_operation_failed")

    tell(story)


def test_an_item_that_breaks_a_constraint_fails_alone(
    tell: Tell, background_errors: BackgroundErrors
) -> None:
    async def story(s: Stage) -> None:
        writer, hurdle = Writer(), Hurdle(s.ledger)
        await hurdle.reached()
        futures = [s.ledger.submit(writer.operation, w) for w in ("a", "b", "a")]
        hurdle.let_go()
        told = await asyncio.gather(*futures, return_exceptions=True)
        assert told[:2] == ["A", "B"]
        assert isinstance(told[2], Exception)
        assert words(s) == ["a", "b"]
        assert background_errors.take("ledger_operation_failed")

    tell(story)


def test_lower_ranks_run_first_within_a_commit(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        order: list[str] = []

        def noting(name: str, rank: int) -> Operation[None, None]:
            def handler(_connection: Connection, items: Sequence[None]) -> list[None]:
                order.append(name)
                return list(items)

            return Operation(name, rank, handler)

        hurdle = Hurdle(s.ledger)
        await hurdle.reached()
        futures = [s.ledger.submit(noting(n, r), None) for n, r in (("c", 9), ("a", 1), ("b", 5))]
        hurdle.let_go()
        await asyncio.gather(*futures)
        assert order == ["a", "b", "c"]

    tell(story)


def test_settling_twice_in_one_commit_writes_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), d=customer("100043"))
        claimed = await s.worker.claim()
        hurdle = Hurdle(s.ledger)
        await hurdle.reached()
        items = [s.worker.settlement(claimed[one], applied()) for one in ("c", "d", "c")]
        futures = [s.ledger.submit(s.worker._settle, item) for item in items]
        hurdle.let_go()
        assert [one.lost for one in await asyncio.gather(*futures)] == [False, False, True]
        assert (s.kinds("c"), s.kinds("d")) == (["applied"], ["applied"])

    tell(story)


@pytest.mark.parametrize("order", [lambda a, b: (a, b), lambda a, b: (b, a)], ids=["old", "new"])
def test_old_and_new_epochs_of_a_lane_in_one_commit_are_told_apart(tell: Tell, order: Any) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        old = s.worker.settlement((await s.worker.claim())["c"], RETRY)
        other = Worker(s, "w2")
        await other.own()
        await s.worker.own()
        claimed = (await s.worker.claim())["c"]
        new = s.worker.settlement(claimed, applied())
        hurdle = Hurdle(s.ledger)
        await hurdle.reached()
        futures = [s.ledger.submit(s.worker._settle, item) for item in order(old, new)]
        hurdle.let_go()
        lost = {
            item.result.what: one.lost
            for item, one in zip(order(old, new), await asyncio.gather(*futures), strict=True)
        }
        assert lost == {"retry": True, "applied": False}
        assert s.kinds("c") == ["applied"]

    tell(story)


def test_stop_writes_what_was_queued(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        writer, hurdle = Writer(), Hurdle(s.ledger)
        await hurdle.reached()
        futures = [s.ledger.submit(writer.operation, f"w{n}") for n in range(20)]
        stopping = asyncio.create_task(s.ledger.stop())
        await asyncio.sleep(0)
        with pytest.raises(LedgerClosedError):
            s.ledger.submit(writer.operation, "late")
        hurdle.let_go()
        await stopping
        assert await asyncio.gather(*futures) == [f"W{n}" for n in range(20)]
        again = make_engine(s.url)
        with again.connect() as connection:
            count = connection.execute(text("SELECT count(*) FROM meta")).scalar()
        again.dispose()
        assert count == 20

    tell(story)


def test_more_than_one_commit_can_hold_is_written_in_several(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MOST_ITEMS", 7)

    async def story(s: Stage) -> None:
        writer, hurdle = Writer(), Hurdle(s.ledger)
        await hurdle.reached()
        futures = [s.ledger.submit(writer.operation, f"w{n}") for n in range(20)]
        stopping = asyncio.create_task(s.ledger.stop())
        hurdle.let_go()
        await asyncio.gather(*futures)
        await stopping
        assert [len(call) for call in writer.calls] == [7, 7, 6]

    tell(story)


# --- the database goes away ------------------------------------------------------------------


@pytest.mark.postgresql
@pytest.mark.parametrize("moments", [1, 2])
def test_a_session_that_is_ended_is_begun_again_and_nothing_is_written_twice(
    postgresql_url: str, moments: int
) -> None:
    async def story(s: Stage) -> None:
        writer, hurdle = Writer(), Hurdle(s.ledger)
        await hurdle.reached()
        writer.trouble = ["cut"] * moments
        futures = [s.ledger.submit(writer.operation, f"w{n}") for n in range(10)]
        hurdle.let_go()
        assert await asyncio.gather(*futures) == [f"W{n}" for n in range(10)]
        assert len(writer.calls) == moments + 1
        assert words(s) == sorted(f"w{n}" for n in range(10))
        assert s.ledger.unwritable is None

    play(postgresql_url, story)


@pytest.mark.postgresql
def test_a_session_that_ended_while_idle_is_begun_again(postgresql_url: str) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        other = make_engine(s.url)
        with other.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        other.dispose()
        await s.worker.settle(claimed, applied())
        assert s.kinds("c") == ["applied"]

    play(postgresql_url, story)


@pytest.mark.postgresql
def test_two_workers_that_wait_for_each_other_both_get_through(postgresql_url: str) -> None:
    async def story(s: Stage) -> None:
        other = Ledger(s.url)
        other.start()
        with s.ledger.engine.begin() as connection:
            connection.execute(text("INSERT INTO meta VALUES ('x', '0'), ('y', '0')"))
        meet = threading.Barrier(2)

        def adding(first: str, second: str) -> Operation[None, None]:
            calls = iter((True, False, False, False))

            def handler(connection: Connection, items: Sequence[None]) -> list[None]:
                add = text("UPDATE meta SET value = (value::int + 1)::text WHERE key = :k")
                connection.execute(add, {"k": first})
                if next(calls):
                    meet.wait(DEADLINE_S)
                connection.execute(add, {"k": second})
                return list(items)

            return Operation("adding", 1, handler)

        try:
            await asyncio.gather(
                s.ledger.submit(adding("x", "y"), None), other.submit(adding("y", "x"), None)
            )
        finally:
            await other.stop()
        assert [row.value for row in s.rows("SELECT value FROM meta")] == ["2", "2"]

    play(postgresql_url, story)


def test_another_process_that_holds_the_write_lock_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", SHORT_BUSY_MS)
        s.ledger.engine.dispose()
        with s.ledger.engine.connect() as connection:  # the writer's own keeps its long patience
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == SHORT_BUSY_MS
        impatient = Ledger(s.url)
        impatient.start()
        holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        future = impatient.submit(s.worker._settle, s.worker.settlement(claimed, applied()))
        await in_trouble(impatient)
        assert "locked" in (impatient.unwritable or "")
        assert not future.done()
        holder.execute("ROLLBACK")
        holder.close()
        assert not (await future).lost
        assert impatient.unwritable is None
        await impatient.stop()
        assert s.kinds("c") == ["applied"]

    play(f"sqlite:///{tmp_path / 'ledger.db'}", story)


def test_a_ledger_that_cannot_be_written_is_given_up_at_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", SHORT_BUSY_MS)

    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        future = s.ledger.submit(s.worker._settle, s.worker.settlement(claimed, applied()))
        await s.ledger.stop()
        with pytest.raises(LedgerClosedError):
            await future
        holder.execute("ROLLBACK")
        holder.close()
        assert s.outcomes() == []

    play(f"sqlite:///{tmp_path / 'ledger.db'}", story)


def test_the_reason_is_kept_while_the_ledger_cannot_be_written() -> None:
    ledger = Ledger("sqlite:////no/such/directory/ledger.db")

    async def run() -> None:
        ledger.start()
        future = ledger.submit(Writer().operation, "w")
        await in_trouble(ledger)
        await ledger.stop()
        with pytest.raises(LedgerClosedError):
            await future

    asyncio.run(run())
    assert "unable to open" in (ledger.unwritable or "")


def test_a_defect_at_the_commit_does_not_end_the_writer(
    tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    """Every caller would wait for ever, and nobody would know."""
    trouble = [ZeroDivisionError("planted"), ZeroDivisionError("planted")]

    def fail(_connection: Connection) -> None:
        if trouble:
            raise trouble.pop()

    async def story(s: Stage) -> None:
        event.listen(s.ledger.engine, "begin", fail)
        async with asyncio.timeout(DEADLINE_S):
            assert await s.ledger.submit(Writer().operation, "word") == "WORD"
        assert words(s) == ["word"]
        assert s.ledger.unwritable is None

    tell(story)
    (told,) = [r for r in caplog.records if r.exc_info is not None]
    assert told.getMessage().endswith("a defect, ZeroDivisionError")
