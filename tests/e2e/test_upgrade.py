"""A rolling upgrade as `docs/upgrade.md` tells it: a version ends, another goes on, nothing lost.

The other version is a copy of this one with a higher number and one more migration, which only
adds. Both work on one ledger at once for a while, as they do in any rolling upgrade.
"""

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from streams.kafka_client import KafkaConnection
from streams.local.guarded import GuardedProcess, free_port
from streams.local.postgresql_node import PostgresNode
from tests.e2e.audit import problems
from tests.e2e.moment import customer, icelander, icelandic_invoice, invoice
from tests.e2e.scene import IN_DIRECTORY, ROOT, Scene, Tenant

pytestmark = [pytest.mark.kafka, pytest.mark.postgresql]

NEXT = "99.0.0"
LONG_S = 120.0  # a killed worker is believed to be there for half a minute
NORWAY, ICELAND = Tenant("no-up", "sparebank1"), Tenant("is-up", "dkplus")
MIGRATION = '''"""Something that the next version keeps, and this one does not know."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{newest}"


def upgrade() -> None:
    """Add, and change nothing that is there."""
    op.create_table("next_things", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("deliveries", sa.Column("next_thing", sa.String))
'''


def next_version(directory: Path) -> Path:
    """The other version, installed by itself."""
    for package in ("schemas", "connectors", "streams"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, directory / package, ignore=ignored)
    facts = directory / "moment_sync.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: moment-sync\nVersion: {NEXT}\n")
    versions = directory / "streams" / "ledger" / "migrations" / "versions"
    newest = max(path.name for path in versions.glob("v*_*.py"))[1:].partition("_")[0]
    (versions / "v9999_next.py").write_text(MIGRATION.format(newest=newest))
    return directory


class Upgraded(Scene):
    """A scene with workers and commands of both versions."""

    newer: Path

    def begin_newer(self) -> GuardedProcess:
        """A worker of the next version."""
        web = f"127.0.0.1:{free_port()}"
        worker = GuardedProcess(
            self._command("worker"), log=self.log, environment=self._next_environment(WEB=web)
        )
        self._workers.append(worker)
        self.wire.wait(lambda: self._ready(worker, web), "the next version is ready", LONG_S)
        return worker

    def migrate_newer(self) -> int:
        done = GuardedProcess(
            self._command("ledger", "migrate"), log=self.log, environment=self._next_environment()
        )
        self._workers.append(done)
        (code,) = self.wire.wait(
            lambda: None if done.exit_code is None else (done.exit_code,), "it migrates", LONG_S
        )
        return code

    def _command(self, *words: str) -> tuple[str, ...]:
        program = (sys.executable, "-m", "streams.ops.cli")
        return (*IN_DIRECTORY, str(self.directory), *program, *words)

    def _next_environment(self, **changes: str) -> dict[str, str]:
        return {**self.environment(**changes), "PYTHONPATH": str(self.newer)}

    def old(self) -> GuardedProcess:
        return self.start_worker(WEB=f"127.0.0.1:{free_port()}")


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(
    request: pytest.FixtureRequest, kafka: KafkaConnection, tmp_path: Path
) -> Iterator[Upgraded]:
    prefix = f"upgrade-{secrets.token_hex(4)}."
    directory = tmp_path / "scene"
    directory.mkdir()
    ledger, drop = "sqlite:///moment-sync.db", None
    if request.param == "postgresql":
        node: PostgresNode = request.getfixturevalue("postgresql_node")
        drop = f"upgrade_{secrets.token_hex(4)}"
        ledger = node.create_database(drop)
    made = Upgraded(kafka, prefix, directory, [NORWAY, ICELAND], LEDGER=ledger)
    made.newer = next_version(tmp_path / "next")
    try:
        migrated = made.cli("ledger", "migrate")
        assert migrated.code == 0, migrated
        made.start()
        yield made
        assert problems(made) == []
    finally:
        made.stop()
        if drop is not None:
            node.drop_database(drop)


def bills(scene: Upgraded, first: int, count: int = 6) -> list[str]:
    """Invoices at both; ids of their events."""
    numbers = [str(first + n) for n in range(count)]
    sent = [scene.send(invoice(NORWAY.company, n, "100042")) for n in numbers]
    return sent + [scene.send(icelandic_invoice(ICELAND.company, n, "500")) for n in numbers]


def booked_once(scene: Upgraded, sent: list[str], first: int, count: int = 6) -> None:
    for event in sent:
        scene.outcome(event, "applied", seconds=LONG_S)
    numbers = [str(first + n) for n in range(count)]
    assert [len(scene.booked(t, n)) for t in (NORWAY, ICELAND) for n in numbers] == [1] * 2 * count


def ended(scene: Upgraded, worker: GuardedProcess) -> int:
    os.kill(worker.pid, signal.SIGTERM)
    (code,) = scene.wire.wait(
        lambda: None if worker.exit_code is None else (worker.exit_code,), "it ends", LONG_S
    )
    return code


def letter_version(scene: Upgraded, number: str) -> str:
    """Which version gave up on an event that no accounting system can take."""
    dead = scene.dead(customer(NORWAY.company, number))
    return scene.letter_of(dead).said["version"]


def test_versions_follow_each_other_under_load_and_nothing_is_lost_or_doubled(
    scene: Upgraded,
) -> None:
    first, second = scene.old(), scene.old()
    scene.applied(customer(NORWAY.company, "100042"))
    scene.applied(icelander(ICELAND.company, "500"))
    assert letter_version(scene, "7") == version("moment-sync")
    slow = {"method": "POST", "fault": "slow", "seconds": 0.3}
    scene.books.dk("faults", {"rules": [{**slow, "path": "*/sales/invoice*"}]})
    scene.books.sb1("faults", {"rules": [{**slow, "path": "*/journalentries*"}]})
    sent = bills(scene, 1000)
    # The schema first: old workers go on with what was only added to.
    assert scene.migrate_newer() == 0
    sent += bills(scene, 1006)
    third = scene.begin_newer()
    assert ended(scene, first) == 0
    sent += bills(scene, 1012)
    # Not every old one ends in good order.
    second.kill()
    sent += bills(scene, 1018)
    booked_once(scene, sent, 1000, 6)
    booked_once(scene, sent, 1006, 18)
    assert letter_version(scene, "8") == NEXT
    assert third.exit_code is None
    # Once the schema is newer the older version says so, and touches nothing.
    back = scene.begin_worker(WEB=f"127.0.0.1:{free_port()}")
    (code,) = scene.wire.wait(
        lambda: None if back.exit_code is None else (back.exit_code,), "the old refuses", LONG_S
    )
    assert code == 2
    assert "made by a newer version" in scene.log.read_text(encoding="utf-8")
    assert ended(scene, third) == 0
