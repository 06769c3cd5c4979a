"""Kafka and secrets as they are in the field: bounced, recreated, grown, swapped, told to end.

One worker after the other on one ledger and group, as in `test_restarts.py`, on topics of its own.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from streams.kafka_client import KafkaConnection
from streams.local.guarded import GuardedProcess, free_port
from streams.local.kafka_node import KafkaNode
from tests.e2e.audit import problems
from tests.e2e.moment import customer, icelander, icelandic_invoice, invoice
from tests.e2e.scene import ROOT, Scene, Tenant

pytestmark = pytest.mark.kafka

LONG_S = 90.0  # a broker that starts again, on a busy machine
AT_ONCE_S = 3.0
SIGNAL_AFTER_S = (0.1, 0.2, 0.35, 0.6, 1.2)  # from the first lines of Python to waiting for Kafka
NORWAY, ICELAND = Tenant("no-field", "sparebank1"), Tenant("is-field", "dkplus")
OTHER = Tenant("is-other", "dkplus")
INPUTS = ("moment.customers", "moment.projects", "moment.invoices")
READ = (*INPUTS, "moment-sync.commands")


class Field(Scene):
    """A scene whose worker is handed from test to test."""

    worker: GuardedProcess | None = None

    def running(self) -> GuardedProcess:
        if self.worker is None or self.worker.exit_code is not None:
            # After one that ended hard, Kafka believes in it for half a minute.
            made = self.worker = self.begin_worker()
            web = self.settings["WEB"]
            self.wire.wait(lambda: self._ready(made, web), "the worker is ready", LONG_S)
        return self.worker

    def ended(self, worker: GuardedProcess, seconds: float = LONG_S) -> int:
        (code,) = self.wire.wait(
            lambda: None if worker.exit_code is None else (worker.exit_code,), "it ends", seconds
        )
        self.worker = None
        return code


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A broker of our own: it is killed while others work."""
    with KafkaNode(
        tmp_path_factory.mktemp("kafka"), properties={"group.min.session.timeout.ms": "1000"}
    ) as made:
        yield made


@pytest.fixture(scope="module")
def scene(node: KafkaNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    connection = KafkaConnection(bootstrap=node.bootstrap)
    prefix = f"field-{secrets.token_hex(4)}."
    directory = tmp_path_factory.mktemp("field")
    made = Field(connection, prefix, directory, [NORWAY, ICELAND, OTHER], DRAIN="20s")
    try:
        made.start()
        made.running()
        made.applied(customer(NORWAY.company, "100042"))
        made.applied(icelander(ICELAND.company, "500"))
        made.applied(icelander(OTHER.company, "500"))
        yield made
        assert problems(made) == []
    finally:
        made.stop()


def billed(scene: Field, *numbers: str) -> None:
    """Invoices at both, all booked once."""
    sent = [scene.send(invoice(NORWAY.company, number, "100042")) for number in numbers]
    sent += [scene.send(icelandic_invoice(ICELAND.company, n, "500")) for n in numbers]
    for event in sent:
        scene.outcome(event, "applied", seconds=LONG_S)
    for number in numbers:
        assert [len(scene.booked(t, number)) for t in (NORWAY, ICELAND)] == [1, 1]


def test_a_broker_that_is_killed_and_comes_back_is_gone_on_with(
    scene: Field, node: KafkaNode
) -> None:
    worker = scene.running()
    billed(scene, "11")
    for kill in (True, False):
        node.restart(kill=kill)
        billed(scene, "12" if kill else "13")
    assert worker.exit_code is None


def admin(node: KafkaNode, what: str, topics: list[str]) -> None:
    async def main() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=node.bootstrap)
        await client.start()
        try:
            if what == "delete":
                await client.delete_topics(topics)
            elif what == "create":
                made = [NewTopic(name, num_partitions=4, replication_factor=1) for name in topics]
                answer = await client.create_topics(made)
                assert all(error[1] in {0, 36} for error in answer.topic_errors), answer
            else:
                await client.create_partitions({name: NewPartitions(6) for name in topics})
        finally:
            await client.close()

    asyncio.run(main())


def unreadable(scene: Field, value: bytes) -> None:
    """The first record of its topic, which becomes a letter; no other is at its offset."""
    assert scene.wire.send("moment.projects", b"key", value)[1] == 0
    scene.letter(lambda letter: letter.value == value, f"the letter of {value!r}")


def test_topics_that_are_made_anew_are_read_from_their_beginning(
    scene: Field, node: KafkaNode
) -> None:
    """The ledger knows their places already, with other records in them."""
    worker = scene.running()
    billed(scene, "21", "22", "23")
    unreadable(scene, b"before")
    topics = [scene.prefix + name for name in INPUTS]
    admin(node, "delete", topics)
    assert scene.ended(worker) == 1
    assert "is gone" in scene.log.read_text(encoding="utf-8")
    missing = scene.begin_worker()
    assert scene.ended(missing) == 2
    admin(node, "create", topics)
    unreadable_at = scene.wire.send("moment.projects", b"key", b"afterwards")[1]
    assert unreadable_at == 0, "where the letter of before was"
    scene.running()
    scene.letter(lambda letter: letter.value == b"afterwards", "the letter of afterwards")
    billed(scene, "24", "25")


def test_partitions_that_are_added_keep_entities_in_order(scene: Field, node: KafkaNode) -> None:
    """A worker counts them at its start; until then new ones are read, and lanes are as before."""
    worker = scene.running()
    admin(node, "grow", [scene.prefix + name for name in READ])
    states = [scene.send(customer(NORWAY.company, "100099", name=f"Name {n}")) for n in range(20)]
    scene.outcome(states[-1], "applied", seconds=LONG_S)
    assert worker.exit_code is None
    os.kill(worker.pid, signal.SIGTERM)
    assert scene.ended(worker) == 0
    scene.running()
    states += [scene.send(customer(NORWAY.company, "100099", name=f"Now {n}")) for n in range(20)]
    scene.outcome(states[-1], "applied", seconds=LONG_S)
    applied = [one.data["event"]["id"] for one in scene.wire.told if one.kind == "applied"]
    ours = [states.index(event) for event in applied if event in states]
    assert ours == sorted(ours)
    billed(scene, "31", "32", "33", "34")


def test_a_token_file_that_is_swapped_for_anothers_books_nothing_there(scene: Field) -> None:
    """Seen within seconds and without a SIGHUP, before anything is sent with it."""
    scene.running()
    billed(scene, "41")
    ours, others = (scene.directory / f"{tenant.id}.token" for tenant in (ICELAND, OTHER))
    own = ours.read_text()
    ours.write_text(others.read_text())
    time.sleep(1.1)  # what `TOKEN_LOOK_S` allows
    event = scene.send(icelandic_invoice(ICELAND.company, "42", "500"))
    held = scene.outcome(event, "held", seconds=LONG_S)
    assert held.code == "books-identity-changed"
    assert scene.booked(OTHER, "42") == []
    ours.write_text(own)
    resumed = scene.cli("resume", ICELAND.id, "--by", "test", "--reason", "token put back")
    assert resumed.code == 0, resumed
    scene.outcome(event, "applied", seconds=LONG_S)
    assert len(scene.booked(ICELAND, "42")) == 1
    assert scene.booked(OTHER, "42") == []


def drains(scene: Field) -> int:
    """How often workers of this scene have begun to drain."""
    return scene.log.read_text(encoding="utf-8").count("worker_draining")


def test_a_second_sigterm_ends_at_once_what_the_first_lets_drain(scene: Field) -> None:
    worker = scene.running()
    before = drains(scene)
    # Booked at once: what is done later than deadline and settle time allow is booked twice.
    silent = {"fault": "commit-no-answer", "seconds": 15.0}
    rule = {"method": "POST", **silent, "path": "*/sales/invoice*"}
    scene.books.dk("faults", {"rules": [rule]})
    event = scene.send(icelandic_invoice(ICELAND.company, "51", "500"))
    scene.wire.wait(lambda: scene.books.dk("faults")["met"][0] or None, "it is under way")
    os.kill(worker.pid, signal.SIGTERM)
    scene.wire.wait(lambda: drains(scene) > before or None, "it drains")
    assert worker.exit_code is None
    os.kill(worker.pid, signal.SIGTERM)
    started = time.monotonic()
    assert scene.ended(worker) == 1
    assert time.monotonic() - started < AT_ONCE_S
    scene.books.dk("faults", {"rules": []})
    scene.running()
    scene.outcome(event, "applied", seconds=LONG_S)
    assert len(scene.booked(ICELAND, "51")) == 1


@pytest.mark.parametrize("after", SIGNAL_AFTER_S)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_before_it_began_a_worker_ends_with_zero(
    number: signal.Signals, after: float, tmp_path: Path
) -> None:
    """Whatever it is loading or waiting for. Before Python itself is there nobody can help."""
    (tmp_path / "integrations.toml").write_text("integrations = []\n")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MOMENT_")},
        "PYTHONPATH": str(ROOT),
        "MOMENT_SYNC_KAFKA": f"127.0.0.1:{free_port()}",
        "MOMENT_SYNC_WEB": "127.0.0.1:0",
    }
    marker = "import sys; sys.argv = ['moment-sync', 'worker']\n"
    program = f"{marker}import streams.ops.early_end as e; e.listen(); print(1, flush=True)\n"
    program += "from streams.ops.cli import main; main()"
    worker = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert worker.stdout is not None
    with worker, worker.stdout:
        assert worker.stdout.readline() == b"1\n"
        time.sleep(after)
        worker.send_signal(number)
        assert worker.wait(LONG_S) == 0
