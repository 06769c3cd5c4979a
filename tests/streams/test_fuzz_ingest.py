"""Whatever comes from Kafka is written down as something; the long form is `make fuzz`."""

from pathlib import Path

from tests.streams.fuzz_ingest import run

SHORT = 200  # fetches; some seconds


def test_every_record_is_accounted_for_and_nothing_raises(tmp_path: Path) -> None:
    assert run(SHORT, tmp_path) >= SHORT
