"""What holds when workers end, are killed, share a ledger, or find that it is gone.

One worker after the other works on the same topics, group and books; each test goes on with the
one that the test before has left.
"""

import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Iterator

import pytest

from streams.kafka_client import KafkaConnection
from streams.local.guarded import GuardedProcess, free_port
from tests.e2e.audit import problems
from tests.e2e.moment import customer, icelander, icelandic_invoice, invoice
from tests.e2e.scene import Scene, Tenant
from tests.e2e.wire import DEADLINE_S

pytestmark = pytest.mark.kafka

DRAIN_S, PUBLISH_S = 5.0, 10.0  # SIGTERM waits for calls, then for what is to be published
KAFKA_S = 60.0  # it waits for thirty seconds, and starts and ends on a busy machine
SESSION_S = 6.0  # so long Kafka believes that a killed worker is there
BILLS = [str(number) for number in range(1, 9)]


class Lineage(Scene):
    """A scene whose worker is handed from test to test."""

    worker: GuardedProcess | None = None

    def running(self) -> GuardedProcess:
        if self.worker is None:
            self.worker = self.start_worker()
        return self.worker

    def terminate(self, within_s: float = DEADLINE_S) -> float:
        """SIGTERM: the worker must exit with 0; seconds that it took."""
        worker, self.worker = self.running(), None
        started = time.monotonic()
        os.kill(worker.pid, signal.SIGTERM)
        # As a pair: 0 is not None.
        (code,) = self.wire.wait(
            lambda: None if worker.exit_code is None else (worker.exit_code,),
            "the worker ends",
            within_s,
        )
        assert code == 0, self.log.read_text(encoding="utf-8")[-2000:]
        return time.monotonic() - started


PAIRS = {
    name: (Tenant(f"no-{name}", "sparebank1"), Tenant(f"is-{name}", "dkplus"))
    for name in ("ended", "locked", "killed", "gone")
}


@pytest.fixture(scope="module")
def scene(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineage]:
    tenants = [tenant for pair in PAIRS.values() for tenant in pair]
    prefix = f"e2e-{secrets.token_hex(4)}."
    made = Lineage(kafka, prefix, tmp_path_factory.mktemp("restarts"), tenants)
    try:
        made.start()
        yield made
        assert problems(made) == []
    finally:
        made.stop()


def opened(scene: Lineage, name: str) -> None:
    """Both companies have a customer and are known to the worker."""
    norway, iceland = PAIRS[name]
    first = scene.send(customer(norway.company, "100042"))
    second = scene.send(icelander(iceland.company, "500"))
    scene.outcome(first, "applied")
    scene.outcome(second, "applied")


def bills(scene: Lineage, name: str) -> list[str]:
    """Invoices at each of the two; ids of the events."""
    norway, iceland = PAIRS[name]
    sent = [scene.send(invoice(norway.company, number, "100042")) for number in BILLS]
    return sent + [scene.send(icelandic_invoice(iceland.company, n, "500")) for n in BILLS]


def counts(scene: Lineage, name: str) -> list[int]:
    return [len(scene.booked(tenant, n)) for tenant in PAIRS[name] for n in BILLS]


def under_way(scene: Lineage, name: str) -> bool | None:
    """Some are booked and some are not."""
    return True if 2 <= sum(counts(scene, name)) < 2 * len(BILLS) else None


def slow(scene: Lineage, seconds: float) -> None:
    """From now on every booking is done and answered late, but within its settle time."""
    rule = {"method": "POST", "fault": "slow", "seconds": seconds}
    scene.books.dk("faults", {"rules": [{**rule, "path": "*/sales/invoice*"}]})
    scene.books.sb1("faults", {"rules": [{**rule, "path": "*/journalentries*"}]})


@pytest.fixture(scope="module")
def away(scene: Lineage) -> GuardedProcess:
    """A worker whose Kafka is not there, started while others work: it waits for half a minute."""
    nowhere = {"KAFKA": f"127.0.0.1:{free_port()}", "WEB": f"127.0.0.1:{free_port()}"}
    return scene.begin_worker(LEDGER="sqlite:///away.db", **nowhere)


@pytest.mark.usefixtures("away")
def test_terminated_it_lets_calls_end_and_the_next_one_goes_on(scene: Lineage) -> None:
    scene.running()
    opened(scene, "ended")
    slow(scene, 0.5)
    sent = bills(scene, "ended")
    scene.wire.wait(lambda: under_way(scene, "ended"), "some are booked")
    assert scene.terminate() < DRAIN_S + PUBLISH_S
    slow(scene, 0.0)
    scene.running()
    for event in sent:
        scene.outcome(event, "applied")
    assert counts(scene, "ended") == [1] * 2 * len(BILLS)


def test_terminated_it_ends_also_while_its_ledger_cannot_be_written(scene: Lineage) -> None:
    """What was under way is written by the next one, from what is on disk and in the books."""
    scene.running()
    opened(scene, "locked")
    slow(scene, 0.5)
    sent = bills(scene, "locked")
    scene.wire.wait(lambda: under_way(scene, "locked"), "some are booked")
    path = scene.directory / "moment-sync.db"
    lock = sqlite3.connect(path, isolation_level=None, timeout=KAFKA_S)
    lock.execute("BEGIN IMMEDIATE")
    try:
        scene.terminate(within_s=KAFKA_S)
    finally:
        lock.close()
    slow(scene, 0.0)
    scene.running()
    for event in sent:
        scene.outcome(event, "applied")
    assert counts(scene, "locked") == [1] * 2 * len(BILLS)


def test_with_a_ledger_that_is_gone_all_is_read_again_and_nothing_is_booked_twice(
    scene: Lineage,
) -> None:
    """Deliveries and outcomes are new, so what was told before says nothing of them."""
    scene.running()
    opened(scene, "gone")
    sent = bills(scene, "gone")
    for event in sent:
        scene.outcome(event, "applied")
    scene.terminate()
    for path in scene.directory.glob("moment-sync.db*"):
        path.unlink()
    scene.wire.told.clear()
    scene.wire.letters.clear()
    scene.running()
    norway, iceland = PAIRS["gone"]
    late = scene.send(invoice(norway.company, "99", "100042"))
    later = scene.send(icelandic_invoice(iceland.company, "99", "500"))
    for event in (*sent, late, later):
        assert scene.outcome(event, "applied").data["reference"]["number"]
    assert counts(scene, "gone") == [1] * 2 * len(BILLS)
    assert [len(scene.booked(tenant, "99")) for tenant in PAIRS["gone"]] == [1, 1]


def test_of_two_workers_on_one_ledger_one_is_killed_and_every_booking_is_made_once(
    scene: Lineage,
) -> None:
    killed = scene.running()
    other = scene.start_worker(WEB=f"127.0.0.1:{free_port()}")
    opened(scene, "killed")
    slow(scene, 1.0)
    sent = bills(scene, "killed")
    scene.wire.wait(lambda: under_way(scene, "killed"), "some are booked and not answered")
    killed.kill()
    slow(scene, 0.0)
    scene.worker = scene.begin_worker()
    for event in sent:
        scene.outcome(event, "applied", seconds=DEADLINE_S + SESSION_S)
    assert counts(scene, "killed") == [1] * 2 * len(BILLS)
    assert other.exit_code is None


def test_what_cannot_be_reached_is_three_after_half_a_minute(
    scene: Lineage, away: GuardedProcess
) -> None:
    (code,) = scene.wire.wait(
        lambda: None if away.exit_code is None else (away.exit_code,), "it gives up", KAFKA_S
    )
    assert code == 3
