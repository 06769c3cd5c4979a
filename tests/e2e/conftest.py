"""One system for most of these tests: one Kafka, one worker, a company for each scenario."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kafka_client import KafkaConnection
from streams.local.guarded import GuardedProcess
from tests.e2e.audit import problems
from tests.e2e.scene import EVERYTHING, Scene, Tenant

HERE = Path(__file__).parent
NORWEGIAN, ICELANDIC = 40, 40
SCENARIOS = [Tenant(f"no-{n:02d}", "sparebank1") for n in range(NORWEGIAN)]
SCENARIOS += [Tenant(f"is-{n:02d}", "dkplus") for n in range(ICELANDIC)]
WITHOUT_CUSTOMERS = tuple(d for d in EVERYTHING if d != "customers")
WITHOUT_PROJECTS = tuple(d for d in EVERYTHING if d != "projects")
LATE = Tenant("no-late", "sparebank1")
SPECIAL = [
    LATE,
    Tenant("no-customers-off", "sparebank1", WITHOUT_CUSTOMERS),
    Tenant("is-customers-off", "dkplus", WITHOUT_CUSTOMERS),
    Tenant("no-projects-off", "sparebank1", WITHOUT_PROJECTS),
    Tenant("is-projects-off", "dkplus", WITHOUT_PROJECTS),
    Tenant("no-nb", "sparebank1", language="nb"),
    Tenant("is-is", "dkplus", language="is"),
    Tenant("is-nobody", "dkplus", sales_person="nobody"),
]


class Shared(Scene):
    """The scene with a worker at work, and companies that no scenario has had yet."""

    worker: GuardedProcess
    _unused: dict[str, Iterator[Tenant]]

    def begin(self) -> None:
        self.late = (LATE,)
        self.start()
        self.worker = self.start_worker()
        self._unused = {
            system: iter([t for t in SCENARIOS if t.system == system])
            for system in ("sparebank1", "dkplus")
        }

    def norway(self) -> Tenant:
        return next(self._unused["sparebank1"])

    def iceland(self) -> Tenant:
        return next(self._unused["dkplus"])

    def special(self, id: str) -> Tenant:  # noqa: A002
        return next(t for t in SPECIAL if t.id == id)


_working: list[Shared] = []


# The letter of the last test's outcome is published after the outcome.
LATE_S, LOOK_AGAIN_S = 20.0, 0.2


@pytest.fixture(scope="session")
def scene(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Everything at work, shared by the whole directory."""
    prefix = f"e2e-{secrets.token_hex(4)}."
    shared = Shared(kafka, prefix, tmp_path_factory.mktemp("e2e"), [*SCENARIOS, *SPECIAL])
    _working.append(shared)
    try:
        shared.begin()
        yield shared
    finally:
        _finish()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """The scene ends with its directory: its threads would disturb the tests that follow.

    Hypothesis, for one, takes a step of the global random for one of the test's own.
    """
    if nextitem is None or HERE not in nextitem.path.parents:
        _finish()


def _finish() -> None:
    """End the scene, where it has not ended, and judge all that came out of it."""
    while _working:
        shared = _working.pop()
        try:
            until = time.monotonic() + LATE_S
            while (found := problems(shared)) and time.monotonic() < until:
                time.sleep(LOOK_AGAIN_S)
            assert found == []
        finally:
            shared.stop()
