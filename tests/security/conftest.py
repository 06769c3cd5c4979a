"""One story for all tests that need a whole system with a secret in every place."""

import secrets
from collections.abc import Iterator

import pytest

from streams.local.postgresql_node import PostgresNode
from tests.kafka.guarded_broker import GuardedBroker
from tests.security.planted import GuardedOffice, Planted
from tests.security.story import Story


@pytest.fixture(scope="module")
def story(
    tmp_path_factory: pytest.TempPathFactory, postgresql_node: PostgresNode
) -> Iterator[Story]:
    broker = GuardedBroker(tmp_path_factory.mktemp("guarded"))
    office = GuardedOffice()
    name = f"planted_{secrets.token_hex(4)}"
    ledger = postgresql_node.create_database(name)
    directory = tmp_path_factory.mktemp("planted")
    prefix = f"planted-{secrets.token_hex(4)}."
    with office.open(authenticator=office.log_in, auth_require_tls=False) as port:
        scene = None
        try:
            broker.start()
            scene = Planted(broker.by_password("PLAIN"), prefix, directory, ledger, port)
            migrated = scene.cli("ledger", "migrate")
            assert migrated.code == 0, migrated
            scene.start()
            made = Story(scene, office, scene.start_worker())
            made.tell()
            yield made
        finally:
            if scene is not None:
                scene.stop()
            broker.stop()
            postgresql_node.drop_database(name)
