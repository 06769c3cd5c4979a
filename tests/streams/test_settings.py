from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.clock import SystemClock, new_id, new_random
from streams.setting_values import Address, SmtpServer, duration
from streams.settings import SETTINGS, Settings, SettingsError, describe, load


def refused(environ: dict[str, str], *, config_path: str | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ, config_path=config_path)
    return str(caught.value)


def test_the_defaults_are_those_of_the_interface() -> None:
    s = load({})
    assert s.kafka == ("127.0.0.1:9092",)
    assert s.kafka_security == "PLAINTEXT"
    assert s.ledger == "sqlite:///moment-sync.db"
    assert s.integrations == "integrations.toml"
    assert (s.group, s.topic_prefix) == ("moment-sync", "")
    assert (s.topic_partitions, s.topic_replication) == (12, -1)
    assert s.topic_retention_s == 30 * 86400
    assert s.web == Address("127.0.0.1", 8080)
    assert (s.smtp, s.notice_window_s, s.log) == (None, 30, None)
    assert s.parent_wait_s == 15 * 60
    assert (s.retry_base_s, s.retry_max_s, s.retry_for_s) == (1, 300, 72 * 3600)
    assert (s.hold_probe_s, s.hold_probe_max_s, s.breaker_open_s) == (30, 900, 30)
    assert (s.sparebank1_timeout_s, s.dkplus_timeout_s) == (60, 180)
    assert (s.sparebank1_settle_s, s.dkplus_settle_s) == (30, 150)
    assert (s.sparebank1_bookings, s.dkplus_bookings) == (1, 4)
    assert (s.in_flight, s.sparebank1_in_flight, s.dkplus_in_flight) == (300, 8, 8)
    assert (s.drain_s, s.retention_s) == (20, 90 * 86400)


def test_the_table_of_settings_fills_every_field_once() -> None:
    assert sorted(s.field for s in SETTINGS) == sorted(
        set(Settings.__struct_fields__) - {"described"}
    )


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('GROUP = "from-file"\ntopic_partitions = 6\nkafka = ["a:1", "b:2"]\n')
    s = load({"MOMENT_SYNC_CONFIG": str(file), "MOMENT_SYNC_GROUP": "from-environment"})
    assert (s.group, s.topic_partitions, s.kafka) == ("from-environment", 6, ("a:1", "b:2"))
    rows = {row.name: row for row in describe(s)}
    assert rows["GROUP"].source == "MOMENT_SYNC_GROUP"
    assert rows["TOPIC_PARTITIONS"].source == str(file)
    assert (rows["DRAIN"].value, rows["DRAIN"].source) == ("20s", "default")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({"MOMENT_SYNC_DRAIN": ""}).drain_s == 20


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("15m", 900), ("24h", 86400), ("7d", 604800), ("0s", 0)],
)
def test_durations_are_read_with_their_unit(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@given(st.text(max_size=12))
@example("\uff11s")
@example("1 s")
@example("1.5h")
@example("-1s")
def test_nothing_else_is_a_duration(text: str) -> None:
    value = duration(text)
    assert value is None or (text.isascii() and text.rstrip("mshd").isdigit())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA", "localhost"),
        ("KAFKA", "a:1,b"),
        ("KAFKA", "a:0"),
        ("KAFKA_SECURITY", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("LEDGER", "sqlite://"),
        ("LEDGER", "sqlite:///:memory:"),
        ("LEDGER", "mysql://user@host/db"),
        ("LEDGER", "postgresql://user@host"),
        ("LEDGER", "postgresql:///db"),
        ("GROUP", "a group"),
        ("TOPIC_PREFIX", "a/b"),
        ("TOPIC_PARTITIONS", "0"),
        ("TOPIC_PARTITIONS", "12.0"),
        ("TOPIC_REPLICATION", "0"),
        ("WEB", "8080"),
        ("WEB", "127.0.0.1:70000"),
        ("SMTP", "mail.example:25"),
        ("LOG", "xml"),
        ("DRAIN", "20"),
        ("RETRY_BASE", "0s"),
        ("IN_FLIGHT", "0"),
    ],
)
def test_a_wrong_setting_is_told_with_its_name_its_value_and_what_is_allowed(
    name: str, value: str
) -> None:
    told = refused({f"MOMENT_SYNC_{name}": value})
    allowed = next(s.allowed for s in SETTINGS if s.name == name)
    assert told == f"MOMENT_SYNC_{name} = {value!r}: {allowed}"


@pytest.mark.parametrize(
    "ledger",
    [
        "sqlite:///moment-sync.db",
        "sqlite:////var/lib/moment-sync.db",
        "postgresql://user@host/db",
        "postgresql://user@/db?host=/socket/dir",
        "postgresql+psycopg://user@host:5433/db",
    ],
)
def test_a_ledger_is_a_file_or_a_postgresql_database(ledger: str) -> None:
    assert load({"MOMENT_SYNC_LEDGER": ledger}).ledger == ledger


def test_all_wrong_settings_are_told_at_once() -> None:
    told = refused({"MOMENT_SYNC_WEB": "x", "MOMENT_SYNC_DRAIN": "y"})
    assert len(told.splitlines()) == 2


def test_an_unknown_name_is_refused_with_the_nearest_and_without_its_value() -> None:
    told = refused({"MOMENT_SYNC_PARENT_WAITS": "hush", "MOMENT_SYNC_XYZZY": "hush"})
    assert "MOMENT_SYNC_PARENT_WAITS: there is no such setting; did you mean" in told
    assert "did you mean MOMENT_SYNC_PARENT_WAIT?" in told
    assert "MOMENT_SYNC_XYZZY: there is no such setting" in told
    assert "hush" not in told


def test_a_setting_that_is_needed_cannot_be_emptied(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('kafka = []\nsmtp = ""\n')
    assert refused({}, config_path=str(file)).startswith(f"kafka in {file} = '': host:port")


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('kafka_password = "hush"\ndrain = true\n')
    told = refused({}, config_path=str(file))
    assert "did you mean kafka_password_file?" in told
    assert f"drain in {file}: a duration" in told
    assert "hush" not in told


def test_settings_of_faust_and_of_others_are_left_alone() -> None:
    assert load({"MOMENT_SYNC_FAUST_BROKER": "x", "PATH": "y"}) == load({})


@pytest.mark.parametrize("text", [None, "not toml"])
def test_a_file_that_cannot_be_used_stops_the_start(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    if text is not None:
        file.write_text(text)
    assert "MOMENT_SYNC_CONFIG" in refused({"MOMENT_SYNC_CONFIG": str(file)})


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"RETENTION": "29d"}, "RETENTION"),
        ({"TOPIC_RETENTION": "91d"}, "RETENTION"),
        ({"RETRY_BASE": "10m"}, "RETRY_BASE"),
        ({"HOLD_PROBE": "1h"}, "HOLD_PROBE"),
        ({"KAFKA_SECURITY": "SASL_SSL"}, "KAFKA_USERNAME"),
        ({"KAFKA_CERT_FILE": "c.pem"}, "KAFKA_CERT_FILE"),
        ({"SMTP": "smtp://me@mail.example:587"}, "SMTP_PASSWORD_FILE"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    environ: dict[str, str], name: str
) -> None:
    told = refused({f"MOMENT_SYNC_{key}": value for key, value in environ.items()})
    assert f"MOMENT_SYNC_{name}" in told


def test_kafka_over_sasl_needs_a_user_and_a_file_with_the_password() -> None:
    s = load(
        {
            "MOMENT_SYNC_KAFKA": "k1.example:9093, k2.example:9093",
            "MOMENT_SYNC_KAFKA_SECURITY": "sasl_ssl",
            "MOMENT_SYNC_KAFKA_SASL_MECHANISM": "scram-sha-512",
            "MOMENT_SYNC_KAFKA_USERNAME": "sync",
            "MOMENT_SYNC_KAFKA_PASSWORD_FILE": "kafka-password",
        }
    )
    assert s.kafka == ("k1.example:9093", "k2.example:9093")
    assert (s.kafka_security, s.kafka_sasl_mechanism) == ("SASL_SSL", "SCRAM-SHA-512")


def test_smtp_takes_a_user_and_never_a_password() -> None:
    s = load(
        {
            "MOMENT_SYNC_SMTP": "smtp://me@vik.example@mail.example:587",
            "MOMENT_SYNC_SMTP_PASSWORD_FILE": "pw",
        }
    )
    assert s.smtp == SmtpServer(host="mail.example", port=587, user="me@vik.example")
    for user in ("me", "me@vik.example"):
        told = refused({"MOMENT_SYNC_SMTP": f"smtp://{user}:hu/sh@mail.example:587"})
        assert "MOMENT_SYNC_SMTP_PASSWORD_FILE" in told
        assert "sh@" not in told


@pytest.mark.parametrize(
    "ledger",
    ["postgresql://u:hush@host/db", "postgresql://u@host/db?password=hush&sslmode=require"],
)
def test_a_password_in_the_ledgers_url_is_never_shown(ledger: str) -> None:
    s = load({"MOMENT_SYNC_LEDGER": ledger})
    assert "hush" in s.ledger
    assert "hush" not in repr(s)
    assert "hush" not in repr(describe(s))
    assert "hush" not in refused({"MOMENT_SYNC_LEDGER": ledger.replace("postgresql", "mysql")})


def test_every_setting_is_described_in_order() -> None:
    assert [row.name for row in describe(load({}))] == [s.name for s in SETTINGS]


def test_the_clock_is_in_utc_and_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() is not None
    assert clock.elapsed() <= clock.elapsed()
    assert clock.boot_id == SystemClock().boot_id
    assert "/" in clock.boot_id


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == len(ids)
    assert all(len(one) == 32 and one[12] == "7" and one[16] in "89ab" for one in ids)
    stamps = [one[:12] for one in ids]
    assert stamps == sorted(stamps)


def test_two_sources_of_jitter_differ() -> None:
    assert new_random().random() != new_random().random()
