"""The whole system at work: names in events reach no log, and are forgotten beside a worker."""

from pathlib import Path
from typing import Any

import pytest

from streams.kafka_client import KafkaConnection
from tests.e2e.moment import customer, icelander, icelandic_invoice, invoice, line, project
from tests.e2e.scene import Scene, Tenant
from tests.forget.planted import (
    EMAIL,
    LETTER,
    NAME,
    PHONE,
    PLANTED,
    STREET,
    WORK,
    files_of,
    in_files,
    in_rows,
)

pytestmark = pytest.mark.kafka

NORWAY, ICELAND = Tenant("no-forget", "sparebank1"), Tenant("is-forget", "dkplus")
PROJECT_UPDATED, CUSTOMER_UPDATED = "team.moment.project.updated", "team.moment.customer.updated"
PERSON: dict[str, Any] = {
    "name": f"{NAME} AS",
    "email": EMAIL,
    "phone": PHONE,
    "address": {"line1": f"{STREET} 7", "postalCode": "0155", "city": "Oslo"},
}


@pytest.fixture
def scene(kafka: KafkaConnection, topic_prefix: str, tmp_path: Path) -> Any:
    found = Scene(kafka, topic_prefix, tmp_path, [NORWAY, ICELAND])
    try:
        found.start()
        found.start_worker()
        yield found
    finally:
        found.stop()


def some_of_everything(scene: Scene) -> None:
    """Applied, refused, unreadable, by hand, and doubted: whatever a log line is written about."""
    no, ice = NORWAY.company, ICELAND.company
    scene.applied(customer(no, "100042", **PERSON))
    scene.applied(icelander(ice, "100042", **PERSON))
    scene.applied(project(no, "7", "100042", name=f"Hytte for {NAME}"))
    scene.applied(project(ice, "7", "100042", name=f"Hytte for {NAME}"))
    scene.outcome(
        scene.send(project(ice, "7", "100042", name=f"Villa {NAME}"), type=PROJECT_UPDATED),
        "manual",
    )
    scene.applied(invoice(no, "1001", "100042", line(description=WORK)))
    scene.applied(icelandic_invoice(ice, "1001", "100042"))
    unknown = line(description=WORK, account={"number": "3999", "name": NAME, "vatCode": "99"})
    scene.dead(invoice(no, "1002", "100042", unknown))
    broken = {**customer(no, "100042", **PERSON), "status": f"{LETTER} {NAME}"}
    event = scene.send(broken)
    scene.letter(lambda one: ("ce_id", event.encode()) in one.came, "the letter")


def test_logs_carry_numbers_and_a_running_worker_is_no_hindrance(scene: Scene) -> None:
    some_of_everything(scene)
    log = scene.log.read_text()
    assert [word for word in PLANTED if word in log] == []
    assert in_rows(f"sqlite:///{scene.directory / 'moment-sync.db'}") != set()
    for company in (NORWAY.company, ICELAND.company):
        found = scene.asked("forget", company, "100042", "--by", "kari", "--reason", "asked for")
        assert found["kept"] == []
    url = f"sqlite:///{scene.directory / 'moment-sync.db'}"
    assert in_rows(url) == set()
    assert in_files(files_of(url)) == set()
    log = scene.log.read_text()
    assert [word for word in PLANTED if word in log] == []
    story = scene.asked("show", NORWAY.company, "invoice", "1001")
    assert "booked" in {line["what"] for line in story["story"]}
    later = scene.applied(customer(NORWAY.company, "100042", name="Ny AS"), type=CUSTOMER_UPDATED)
    assert NAME not in str(later.data)
    # The kennitala was forgotten too: it is read from the customer's record in DK+.
    scene.applied(icelandic_invoice(ICELAND.company, "1003", "100042"))
