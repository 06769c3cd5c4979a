"""A worker process with a real Kafka: well while it works, ill when it is hurt from outside."""

import json
import os
import secrets
import signal
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.kafka_client import KafkaConnection
from streams.local.guarded import GuardedProcess
from streams.metrics import Metric
from tests.e2e.moment import customer
from tests.e2e.scene import Scene, Tenant
from tests.observability.test_metrics import samples, value

TENANT = Tenant("no-watched", "sparebank1")
PROBE_S = 2.0

pytestmark = pytest.mark.kafka


class Hurt(Scene):
    """A scene with one worker, whose pages are asked."""

    worker: GuardedProcess

    def page(self, name: str) -> tuple[int, str] | None:
        """Status and text; None where nobody answers within a probe's time."""
        try:
            url = f"http://{self.settings['WEB']}/{name}"
            with urllib.request.urlopen(url, timeout=PROBE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None

    def kinds(self) -> list[str] | None:
        """What is wrong; None where nobody answers."""
        found = self.page("healthz")
        return None if found is None else [p["kind"] for p in json.loads(found[1])["problems"]]

    def until(self, look: Any, what: str) -> None:
        self.wire.wait(lambda: True if look() else None, what, 60.0)


@pytest.fixture(scope="module")
def scene(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hurt]:
    prefix = f"health-{secrets.token_hex(4)}."
    hurt = Hurt(kafka, prefix, tmp_path_factory.mktemp("health"), [TENANT])
    try:
        hurt.start()
        hurt.worker = hurt.start_worker()
        yield hurt
    finally:
        hurt.stop()


def test_a_worker_that_works_is_well_and_counts(scene: Hurt) -> None:
    scene.applied(customer(TENANT.company, "100042"))
    assert scene.kinds() == []
    assert scene.page("readyz") == (200, '{"ready": true, "problems": []}')

    def counted() -> bool:
        found = scene.page("metrics")
        assert found is not None
        numbers = samples(found[1])
        lag = [v for (name, _), v in numbers.items() if name == Metric.LAG.spec.name]
        return (
            value(numbers, Metric.OUTCOMES, outcome="applied") == 1
            and value(numbers, Metric.LANES) == 4
            and len(lag) > 0
            and sum(lag) == 0
        )

    scene.until(counted, "it is counted, and nothing is unread")


def test_a_stopped_process_answers_no_probe_and_is_well_when_it_goes_on(scene: Hurt) -> None:
    os.kill(scene.worker.pid, signal.SIGSTOP)
    try:
        scene.until(lambda: scene.page("healthz") is None, "it has stopped")
    finally:
        os.kill(scene.worker.pid, signal.SIGCONT)
    scene.until(lambda: scene.kinds() == [], "it is well")
    scene.applied(customer(TENANT.company, "100043"))


def test_a_ledger_locked_by_somebody_else_is_told_until_it_is_free(scene: Hurt) -> None:
    other = sqlite3.connect(scene.directory / "moment-sync.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    event = scene.send(customer(TENANT.company, "100044"))
    scene.until(lambda: scene.kinds() == ["ledger-unwritable"], "it is told")
    ready = scene.page("readyz")
    assert ready is not None
    assert ready[0] == 503
    other.execute("ROLLBACK")
    other.close()
    scene.outcome(event, "applied", seconds=60.0)
    scene.until(lambda: scene.kinds() == [], "it is well again")
    lines = [json.loads(line) for line in Path(scene.log).read_text().splitlines()]
    assert {"problem", "problem_over"} <= {line["action"] for line in lines}
