"""A stage for each test of Kafka's side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kafka_client import KafkaConnection
from tests.kafka.stage import Stage


@pytest.fixture
def stage(kafka: KafkaConnection, topic_prefix: str, tmp_path: Path) -> Iterator[Stage]:
    """Topics of this test's own, made, with nothing in them."""
    made = Stage(kafka, topic_prefix, tmp_path)
    made.create_topics()
    yield made
    made.close()
