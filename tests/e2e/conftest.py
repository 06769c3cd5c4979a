"""One system for most of these tests: one Kafka, one worker, a company for each scenario."""

import secrets
from collections.abc import Iterator

import pytest

from streams.kafka_client import KafkaConnection
from streams.local.guarded import GuardedProcess
from tests.e2e.audit import problems
from tests.e2e.scene import EVERYTHING, Scene, Tenant

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


@pytest.fixture(scope="session")
def scene(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Everything at work, shared by the whole directory."""
    prefix = f"e2e-{secrets.token_hex(4)}."
    shared = Shared(kafka, prefix, tmp_path_factory.mktemp("e2e"), [*SCENARIOS, *SPECIAL])
    try:
        shared.begin()
        yield shared
        assert problems(shared) == []
    finally:
        shared.stop()
