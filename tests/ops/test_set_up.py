import asyncio
import json
import signal
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.export import documents
from streams.kafka_client import KafkaConnection
from streams.ops.cli import cli
from streams.ops.command_base import CommandEnds, Exit
from streams.ops.reach import kafka_within_reach, ledger_within_reach
from streams.settings import load
from tests.ops.running import end, run, started

NOWHERE = "127.0.0.1:1"


def test_config_shows_what_is_in_force_and_no_password(tmp_path: Path) -> None:
    url = "postgresql://books:hunter2@db.example/ledger"
    found = run(tmp_path, "config", "--json", LEDGER=url, DRAIN="7s")
    assert found.returncode == Exit.DONE
    rows = {row["name"]: row for row in json.loads(found.stdout)["settings"]}
    assert rows["DRAIN"] == {
        "name": "DRAIN",
        "value": "7s",
        "default": "20s",
        "source": "MOMENT_SYNC_DRAIN",
    }
    assert rows["GROUP"]["source"] == "default"
    assert "db.example" in rows["LEDGER"]["value"]
    assert "hunter2" not in found.stdout + run(tmp_path, "config", LEDGER=url).stdout


def test_a_ledger_is_migrated_once(tmp_path: Path) -> None:
    first = run(tmp_path, "ledger", "migrate", "--json")
    again = run(tmp_path, "ledger", "migrate", "--json")
    assert json.loads(first.stdout)["applied"] != []
    assert json.loads(again.stdout) == {"applied": []}
    assert (tmp_path / "moment-sync.db").exists()


def test_a_ledger_that_cannot_be_opened_is_a_wrong_setting(tmp_path: Path) -> None:
    found = run(tmp_path, "ledger", "migrate", LEDGER="sqlite:///no/such/directory/x.db")
    assert found.returncode == Exit.WRONG
    assert "unable to open database file" in found.stderr


def test_a_cluster_that_is_away_is_out_of_reach() -> None:
    told: list[str] = []
    settings = load({"MOMENT_SYNC_KAFKA": NOWHERE})
    with pytest.raises(CommandEnds, match="cannot be reached") as raised:
        asyncio.run(kafka_within_reach(settings, told.append, seconds=0.3))
    assert raised.value.exit_code == Exit.AWAY
    assert len(told) == 1
    assert told[0].startswith(f"waiting for Kafka at {NOWHERE}")


def test_a_database_server_that_is_away_is_out_of_reach() -> None:
    told: list[str] = []
    with pytest.raises(CommandEnds, match="cannot be reached") as raised:
        ledger_within_reach(f"postgresql://u:hunter2@{NOWHERE}/db", told.append, seconds=0.6)
    assert raised.value.exit_code == Exit.AWAY
    assert len(told) == 1
    assert "hunter2" not in raised.value.message + told[0]


@pytest.mark.postgresql
def test_a_ledger_on_postgresql_is_migrated(postgresql_url: str, tmp_path: Path) -> None:
    found = run(tmp_path, "ledger", "migrate", "--json", LEDGER=postgresql_url)
    assert found.returncode == Exit.DONE, found.stderr
    assert json.loads(found.stdout)["applied"] != []


def test_schemas_are_written(tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli, ["schemas", "export", str(tmp_path / "new" / "s"), "--json"])
    files = json.loads(shown.output)["files"]
    assert {Path(file).name for file in files} == {*documents()}
    assert all(json.loads(Path(file).read_bytes()) for file in files)


def test_schemas_cannot_be_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shown = CliRunner().invoke(cli, ["schemas", "export", str(tmp_path / "file" / "under")])
    assert shown.exit_code == Exit.WRONG


@pytest.mark.kafka
def test_topics_are_made_and_what_differs_is_told(
    kafka: KafkaConnection, topic_prefix: str, tmp_path: Path
) -> None:
    given = {"KAFKA": kafka.bootstrap, "TOPIC_PREFIX": topic_prefix, "TOPIC_PARTITIONS": "3"}
    first = run(tmp_path, "topics", "create", "--json", **given)
    assert first.returncode == Exit.DONE, first.stderr
    created = json.loads(first.stdout)["created"]
    assert f"{topic_prefix}moment-sync.deadletters" in created
    again = json.loads(run(tmp_path, "topics", "create", "--json", **given).stdout)
    assert (again["created"], again["existing"], again["differing"]) == ([], created, [])
    other = run(tmp_path, "topics", "create", **{**given, "TOPIC_PARTITIONS": "4"})
    assert other.returncode == Exit.DONE
    assert f"topic {created[0]}: partitions is 3, we would set 4" in other.stdout


@pytest.mark.kafka
def test_topics_that_cannot_be_made_are_a_wrong_setting(
    kafka: KafkaConnection, topic_prefix: str, tmp_path: Path
) -> None:
    found = run(
        tmp_path,
        *("topics", "create"),
        KAFKA=kafka.bootstrap,
        TOPIC_PREFIX=topic_prefix,
        TOPIC_REPLICATION="9",
    )
    assert found.returncode == Exit.WRONG
    assert f"topic {topic_prefix}moment.customers cannot be created" in found.stderr


def test_a_worker_without_integrations_does_not_start(tmp_path: Path) -> None:
    found = run(tmp_path, "worker", KAFKA=NOWHERE)
    assert found.returncode == Exit.WRONG
    assert "integrations.toml" in found.stderr


def test_a_worker_that_waits_for_kafka_ends_at_once_when_told(tmp_path: Path) -> None:
    (tmp_path / "integrations.toml").write_text("integrations = []\n")
    worker = started(tmp_path, "worker", KAFKA=NOWHERE)
    assert worker.stderr is not None
    first = json.loads(worker.stderr.readline())
    assert (first["action"], first["level"]) == ("worker_start", "warning")
    assert "waiting for Kafka" in first["message"]
    assert end(worker, signal.SIGTERM)[0] == Exit.DONE


def test_a_kafka_password_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "integrations.toml").write_text("integrations = []\n")
    given = {"KAFKA_SECURITY": "SASL_PLAINTEXT", "KAFKA_USERNAME": "u"}
    found = run(tmp_path, "topics", "create", KAFKA_PASSWORD_FILE="nope", **given)
    assert found.returncode == Exit.WRONG
    assert "nope cannot be used: No such file or directory" in found.stderr


@pytest.mark.kafka
def test_a_worker_runs_until_sigterm(
    kafka: KafkaConnection, topic_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "integrations.toml").write_text("integrations = []\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        web = f"127.0.0.1:{probe.getsockname()[1]}"
    given = {
        "KAFKA": kafka.bootstrap,
        "TOPIC_PREFIX": topic_prefix,
        "GROUP": f"{topic_prefix}group",
        "WEB": web,
    }
    refused = run(tmp_path, "worker", **given)
    assert refused.returncode == Exit.WRONG
    assert f"topic {topic_prefix}moment.customers is missing" in refused.stderr
    assert run(tmp_path, "topics", "create", **given).returncode == Exit.DONE
    worker = started(tmp_path, "worker", **given)
    assert worker.stderr is not None
    actions: list[str] = []
    while "worker_started" not in actions:
        line = worker.stderr.readline()
        assert line, actions
        actions.append(json.loads(line)["action"])
    code, err = end(worker, signal.SIGTERM)
    assert code == Exit.DONE, err
    assert json.loads(err.splitlines()[-1])["action"] == "worker_ended"
