"""`/healthz` and `/readyz` of a real worker that is hurt in each of the ways that it must see."""

import asyncio
import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from connectors.attempts import Attempt
from schemas.failures import Failure, FailureCode
from streams.web.health import Limits
from tests.conftest import BackgroundErrors
from tests.observability.running import Running, customer, play, record_of

# A busy machine may keep the loop from turning for a while: that is asked of one test alone.
SHORT = Limits(stalled=1.0, blocked=60.0, writing=1.0, polling=1.0, overdue=1.0, publishing=1.0)
BLOCKED = Limits(stalled=60.0, blocked=1.0)


def test_a_worker_at_work_is_well_and_ready(tmp_path: Path) -> None:
    async def story(w: Running) -> None:
        await w.take(record_of(customer(), "a"))
        await w.until(lambda: w.state("a") == "applied", "it is applied")
        assert await asyncio.to_thread(w.asked, "healthz") == (
            200,
            '{"status": "ok", "problems": []}',
        )
        assert await asyncio.to_thread(w.asked, "readyz") == (
            200,
            '{"ready": true, "problems": []}',
        )
        w.worker._stop.set()
        status, text = await asyncio.to_thread(w.asked, "readyz")
        assert status == 503
        assert json.loads(text)["problems"][0]["kind"] == "stopping"

    play(tmp_path, story)


def test_before_the_group_is_joined_it_is_not_ready_and_says_since_when(tmp_path: Path) -> None:
    async def story(w: Running) -> None:
        w.worker.dispatcher.assigned_once.clear()
        status, text = await asyncio.to_thread(w.asked, "readyz")
        assert status == 503
        problem = json.loads(text)["problems"][0]
        assert problem["kind"] == "not-joined"
        assert problem["since"].endswith("Z")

    play(tmp_path, story)


def test_a_blocked_event_loop_is_told_while_it_is_blocked(tmp_path: Path) -> None:
    """The pages have a thread of their own, so they answer while nothing else does."""
    told: list[Any] = []

    async def story(w: Running) -> None:
        await asyncio.sleep(0.5)

        def ask() -> None:
            until = time.monotonic() + 10
            while time.monotonic() < until and not told:
                status, text = w.asked("healthz")
                if status == 503:
                    told.append(json.loads(text)["problems"])

        asking = threading.Thread(target=ask)
        asking.start()
        while asking.is_alive():
            time.sleep(0.05)  # noqa: ASYNC251 - the planted fault
        await w.until(lambda: w.health() == (200, []), "it is well again")

    play(tmp_path, story, limits=BLOCKED)
    assert [problem["kind"] for problem in told[0]] == ["event-loop-blocked"]
    assert told[0][0]["since"]


def test_a_ledger_that_another_holds_locked_is_told_until_it_is_free(tmp_path: Path) -> None:
    async def story(w: Running) -> None:
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        taking = asyncio.create_task(w.take(record_of(customer(), "a")))
        found = await w.until(lambda: w.health() if w.health()[1] else None, "it is told")
        assert found == (503, ["ledger-unwritable"])
        _, text = await asyncio.to_thread(w.asked, "healthz")
        assert "a commit has been under way for" in text
        other.execute("ROLLBACK")
        other.close()
        await taking
        await w.until(lambda: w.health() == (200, []), "it is well again")

    play(tmp_path, story, limits=SHORT)


def test_a_full_disk_is_told_with_what_the_database_says(tmp_path: Path) -> None:
    async def story(w: Running) -> None:
        engine = w.worker.ledger.engine
        with engine.connect() as connection:
            most = connection.exec_driver_sql("PRAGMA page_count").scalar()

        def no_more(connection: Connection) -> None:
            """No further page, on the very connection that writes."""
            connection.exec_driver_sql(f"PRAGMA max_page_count={most}")

        event.listen(engine, "begin", no_more, insert=True)
        many = [record_of(customer(str(100_000 + n)), f"e{n}") for n in range(500)]
        taking = asyncio.create_task(w.take(*many))
        try:
            found = await w.until(lambda: w.health() if w.health()[1] else None, "it is told")
            assert found == (503, ["ledger-unwritable"])
            _, text = await asyncio.to_thread(w.asked, "healthz")
            assert "database or disk is full" in text
        finally:
            most = 1_000_000
        await taking

    play(tmp_path, story, limits=SHORT)


def test_an_attempt_that_never_ends_is_a_stall(tmp_path: Path) -> None:
    async def story(w: Running) -> None:
        runner = w.worker._connections.runners
        for one in runner.values():
            one.deliver = _never  # type: ignore[method-assign, assignment]  # the planted fault
        await w.take(record_of(customer(), "a"))
        found = await w.until(lambda: w.health() if w.health()[1] else None, "it is told")
        assert found == (503, ["deliveries-stalled"])
        _, text = await asyncio.to_thread(w.asked, "healthz")
        assert json.loads(text)["problems"][0]["integrations"] == ["vik-dk"]

    play(tmp_path, story, limits=SHORT)


async def _never(*_: Any) -> Attempt[Any]:
    await asyncio.Event().wait()
    raise AssertionError


def test_a_delivery_that_nobody_claims_is_a_stall_seen_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a wake-up had been lost, or a count of what is in flight had gone wrong."""
    monkeypatch.setattr("streams.web.look.SAMPLE_EVERY_S", 0.2)

    async def story(w: Running) -> None:
        tenant = w.worker.dispatcher.desk.tenants.by_id["vik-dk"]
        await w.until(lambda: tenant.books, "its books are known")
        monkeypatch.setattr(type(tenant), "room", lambda *_: 0)
        await w.take(record_of(customer(), "a"))
        await w.until(lambda: w.health() == (503, ["deliveries-stalled"]), "it is told")
        refused = Failure(code=FailureCode.CREDENTIALS_REFUSED)
        await w.worker.dispatcher._holding.change_hold(tenant, refused)
        await w.until(lambda: w.health() == (200, []), "a held integration may stand still")

    play(tmp_path, story, limits=SHORT)


def test_a_consumer_that_stands_still_is_told_while_kafka_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it does not answer us any more; but not while there is nobody to be asked."""
    monkeypatch.setattr("streams.web.pulse.LAG_EVERY_S", 0.1)

    async def story(w: Running) -> None:
        async def no(_: Any) -> bool:
            return False

        async def yes(_: Any) -> bool:
            return True

        side = type(w.worker.reader)
        monkeypatch.setattr(side, "lag", no_answer)
        monkeypatch.setattr(side, "answers", no)
        await asyncio.sleep(0.5)  # what was heard before is forgotten
        monkeypatch.setattr(side, "polls", 7)
        await asyncio.sleep(2.5)  # nothing must happen, and that has no signal
        assert await asyncio.to_thread(w.health) == (200, [])
        monkeypatch.setattr(side, "answers", yes)
        await w.until(lambda: w.health() == (503, ["consumer-not-polling"]), "it is told")

    play(tmp_path, story, limits=SHORT)


async def no_answer(_: Any) -> dict[Any, int]:
    raise OSError


def test_outcomes_that_stay_are_told_only_while_kafka_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is killed because the brokers are away would work no better."""
    monkeypatch.setattr("streams.web.look.SAMPLE_EVERY_S", 0.2)
    monkeypatch.setattr("streams.web.pulse.LAG_EVERY_S", 0.1)

    async def story(w: Running) -> None:
        async def answers(_: Any) -> dict[Any, int]:
            return {}

        monkeypatch.setattr(type(w.worker.reader), "lag", no_answer)
        await w.take(record_of(customer(), "a"))
        await w.until(lambda: w.state("a") == "applied", "it is applied")
        await asyncio.sleep(2.5)  # nothing must happen, and that has no signal
        assert await asyncio.to_thread(w.health) == (200, [])
        monkeypatch.setattr(type(w.worker.reader), "lag", answers)
        await w.until(lambda: w.health() == (503, ["publishing-stalled"]), "it is told")

    play(tmp_path, story, limits=SHORT)


def test_a_watchdog_that_fails_is_logged_once(
    tmp_path: Path, background_errors: BackgroundErrors
) -> None:
    async def story(w: Running) -> None:
        w.web._looker.look = None  # type: ignore[assignment, method-assign]  # the planted fault
        await w.until(lambda: background_errors.records, "it is logged")

    play(tmp_path, story)
    assert len(background_errors.take("watchdog_failed")) == 1
