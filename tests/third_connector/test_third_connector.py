"""A third accounting system, with no change outside its folder and its registration."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.kafka_client import KafkaConnection
from tests.docs.pages import block
from tests.e2e.moment import customer, invoice, line, project
from tests.e2e.scene import Scene, Tenant
from tests.third_connector.registration import ENTRY, ROOT, registered
from tests.third_connector.toy_system import LEDGER, TOKEN, ToySystem

pytestmark = pytest.mark.kafka

TOY = Tenant("toy", "toybooks")


class ToyScene(Scene):
    """A scene whose one company keeps its books in Toy Books."""

    toy: ToySystem
    overlay: Path

    def environment(self, **changes: str) -> dict[str, str]:
        return {**super().environment(**changes), "PYTHONPATH": f"{self.overlay}:{ROOT}"}

    def write_integrations(self, tenants: Any) -> None:
        del tenants
        host = self.toy.base_url.removeprefix("http://")
        (self.directory / "toy.token").write_text(TOKEN)
        (self.directory / "integrations.toml").write_text(
            f'allow_hosts = ["{host}"]\n'
            "[[integrations]]\n"
            f'id = "toy"\ncompany = "{TOY.company}"\nsystem = "toybooks"\n'
            'data = ["customers", "projects", "invoices"]\nnotify = "toy@books.example"\n'
            f'base_url = "{self.toy.base_url}"\ntoken_file = "toy.token"\nledger = "{LEDGER}"\n'
        )


@pytest.fixture
def scene(kafka: KafkaConnection, topic_prefix: str, tmp_path: Path) -> Iterator[ToyScene]:
    with ToySystem() as toy:
        (tmp_path / "run").mkdir()
        found = ToyScene(kafka, topic_prefix, tmp_path / "run", [])
        found.toy = toy
        found.overlay = registered(tmp_path / "overlay")
        try:
            found.start()
            found.start_worker()
            yield found
        finally:
            found.stop()


def test_it_is_carried_there_in_order_and_once(scene: ToyScene) -> None:
    company, toy = TOY.company, scene.toy
    scene.applied(customer(company, "100042", name="Fjord AS"))
    scene.applied(project(company, "7", "100042"))
    told = scene.applied(invoice(company, "1001", "100042", line(description="March")))
    assert told.data["system"] == "toybooks"
    assert told.data["reference"] == {"id": "i-1", "number": "1"}
    toy.break_bookings = 1
    doubted = scene.applied(invoice(company, "1002", "100042"))
    assert doubted.data["reference"]["number"] == "2"
    assert toy.posts.count("1002") == 1, "found by its number, not booked again"
    scene.dead(invoice(company, "1001", "100042", line(unitPrice="5")))
    assert toy.records["customers"]["100042"]["name"] == "Fjord AS"
    assert len(toy.records["invoices"]) == 2
    check = scene.asked("check")
    assert check == {"findings": []}
    status = scene.asked("status")
    assert [one["system"] for one in status["integrations"]] == ["toybooks"]
    refused = scene.cli("verify")
    assert (refused.code, "cannot read books" in refused.err) == (2, True)


def test_a_wrong_setting_of_it_is_named_with_what_is_allowed(scene: ToyScene) -> None:
    path = scene.directory / "wrong.toml"
    text = (scene.directory / "integrations.toml").read_text()
    path.write_text(text.replace(f'ledger = "{LEDGER}"', 'ledger = "x"\nsales_person = "web"'))
    refused = scene.cli("check", INTEGRATIONS=str(path))
    assert refused.code == 2
    assert "ledger = 'x': a text of the form L-[0-9]+" in refused.err
    assert 'sales_person: belongs to an integration of system "dkplus"' in refused.err
    assert json.dumps(TOKEN) not in refused.err


def test_the_copy_differs_from_ours_in_its_registration_alone(tmp_path: Path) -> None:
    overlay = registered(tmp_path)
    differing = [
        path.relative_to(ROOT)
        for path in sorted((ROOT / "connectors").rglob("*.py"))
        if path.read_bytes() != (overlay / path.relative_to(ROOT)).read_bytes()
    ]
    assert [os.fspath(path) for path in differing] == ["connectors/systems.py"]


def test_the_page_shows_the_registration_that_is_tried() -> None:
    assert block("docs/adding-a-connector.md", "registration") == ENTRY[1]


def test_the_page_shows_an_integration_that_is_taken(scene: ToyScene) -> None:
    shown = block("docs/adding-a-connector.md", "third").replace("127.0.0.1:18090", "127.0.0.1:9")
    (scene.directory / "shown.toml").write_text(shown.replace("/run/secrets/toy", "toy.token"))
    done = scene.cli("status", "--json", INTEGRATIONS="shown.toml")
    assert (done.code, done.err) == (0, "")
