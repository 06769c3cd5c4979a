"""The runbook: a section for every alert and hold, and commands that do what they are shown for."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.failures import FACTS, FailureClass, FailureCode
from streams.kafka_client import KafkaConnection
from tests.docs.pages import anchors, blocks, page
from tests.e2e.moment import customer, invoice, line, project
from tests.e2e.scene import Scene, Tenant

ROOT = Path(__file__).parents[2]
PAGE = "docs/runbook.md"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
# What holds an integration beside refused access.
OTHER_HOLDS = {
    FailureCode.SALES_PERSON_UNKNOWN,
    FailureCode.BOOKS_IDENTITY_CHANGED,
    FailureCode.SWITCHED_OFF,
    FailureCode.BREAKER_OPEN,
}
PROGRAMS = {
    "moment-sync",
    "curl",
    "systemctl",
    "journalctl",
    "kubectl",
    "psql",
    "pg_dump",
    "pg_restore",
    "sqlite3",
    "install",
    "df",
    "iostat",
    "ls",
    "timedatectl",
}
SHOWN_ID = "8d3c2f0a-51b4-6f0c-0f2e-6f1f0e0d9b77"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def lines() -> list[list[str]]:
    """Every line of every fenced block, as words."""
    found = []
    for block in blocks(PAGE):
        assert block.language == "sh"
        for text in block.text.splitlines():
            words = shlex.split(text.strip(), comments=True)
            if words:
                found.append(words)
    # Blocks within lists are not blocks to that reader.
    indented = re.findall(r"(?m)^ {3}((?!```)\S.*)$", page(PAGE))
    return found + [shlex.split(text) for text in indented if text.split()[0] in PROGRAMS]


@pytest.mark.skipif(not ALERTS.exists(), reason="the alert rules are not there")
def test_every_alert_has_its_section() -> None:
    named = [rule["annotations"]["runbook"].partition("#")[2] for rule in rules()]
    assert len(named) > 10
    assert set(named) <= anchors(PAGE)


def test_every_hold_has_its_section() -> None:
    holds = {code for code, (klass, _) in FACTS.items() if klass is FailureClass.ACCESS}
    wanted = {code.value for code in holds | OTHER_HOLDS}
    assert wanted == set(re.findall(r"(?m)^### (.+)$", page(PAGE)))


def test_every_command_is_of_a_program_that_we_know() -> None:
    assert {words[0] for words in lines()} == PROGRAMS


def test_what_is_looked_for_in_logs_is_written_there() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "streams").rglob("*.py"))
    for words in lines():
        if "--grep" in words:
            for action in words[words.index("--grep") + 1].split("|"):
                assert f'"{action}' in code, action


def test_pages_pods_and_units_are_those_that_there_are() -> None:
    for words in lines():
        shown = " ".join(words)
        if words[0] == "curl":
            assert words[-1].rpartition("/")[2] in {"healthz", "readyz", "metrics"}, shown
        if words[0] == "kubectl":
            assert "moment-sync" in shown, shown
        if words[0] in {"systemctl", "journalctl"}:
            assert "moment-sync@" in shown, shown


# --- tried as written --------------------------------------------------------------------------


class Fjord(Tenant, frozen=True):
    """The companies of the documentation, each with its integration."""

    @property
    def company(self) -> str:
        return "c-1001" if self.system == "sparebank1" else "c-2001"


@pytest.fixture
def world(kafka: KafkaConnection, topic_prefix: str, tmp_path: Path) -> Iterator[Scene]:
    found = Scene(
        kafka, topic_prefix, tmp_path, [Fjord("fjord-sb1", "sparebank1"), Fjord("vik-dk", "dkplus")]
    )
    try:
        found.start()
        found.start_worker()
        yield found
    finally:
        found.stop()


@pytest.mark.kafka
def test_every_command_of_ours_runs_as_it_is_written(world: Scene) -> None:
    """In the order of the page, on a world in which there is something to be seen and mended."""
    world.applied(customer("c-1001", "100042"))
    world.applied(project("c-1001", "7", "100042"))
    world.applied(invoice("c-1001", "1001", "100042"))
    unknown = line(account={"number": "3999", "vatCode": "3"})
    world.dead(invoice("c-1001", "1002", "100042", unknown))
    spare = [
        world.dead(invoice("c-1001", str(1003 + n), "100042", unknown)).data["deliveryId"]
        for n in range(2)
    ]
    ran = 0
    for words in lines():
        if words[0] != "moment-sync":
            continue
        given = [spare.pop() if word == SHOWN_ID else word for word in words[1:]]
        done = world.cli(*given)
        assert done.code in {0, 1}, (words, done)
        ran += 1
    assert ran > 40
    assert "refused" not in world.cli("show", "c-1001", "invoice", "1001").out
