"""The systemd unit: understood by systemd where it is there, and fitting the worker everywhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from streams.app import PUBLISH_DRAIN_S
from streams.settings import load

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "moment-sync@.service"
ENVIRONMENT = ROOT / "deploy" / "systemd" / "environment"
BINARY = "/opt/moment-sync/bin/moment-sync"
SECONDS_FOR_KAFKA = 15  # to leave the group, after everything has been drained
SECTIONS = {"Unit", "Service", "Install"}


def members() -> dict[str, dict[str, list[str]]]:
    """What the unit says, by section and name.

    A reader of ours: sections, `name=value`, comments. It knows no directive's values; those are
    judged by systemd itself, where it is there.
    """
    found: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
            continue
        name, equals, value = line.partition("=")
        assert equals, line
        assert re.fullmatch(r"[A-Z]\w+", name), line
        found.setdefault(section, {}).setdefault(name, []).append(value)
    return found


def environment() -> dict[str, str]:
    lines = ENVIRONMENT.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    done = verified(tmp_path, UNIT.read_text())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_would_find_a_line_that_is_wrong(tmp_path: Path) -> None:
    wrong = UNIT.read_text().replace("TimeoutStopSec=60", "TimeoutStopSec=soon")
    assert "soon" in verified(tmp_path, wrong).stderr


def verified(directory: Path, text: str) -> "subprocess.CompletedProcess[str]":
    unit = directory / "moment-sync@1.service"
    unit.write_text(text.replace(BINARY, "/bin/true"))  # it is not installed there
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_it_has_the_sections_that_a_unit_has() -> None:
    assert members().keys() == SECTIONS


def test_a_stop_has_time_for_the_drain() -> None:
    service = members()["Service"]
    settings = load({})
    needed = settings.drain_s + PUBLISH_DRAIN_S + SECONDS_FOR_KAFKA
    assert float(service["TimeoutStopSec"][0]) >= needed
    assert service["KillSignal"] == ["SIGTERM"]
    assert service["KillMode"] == ["mixed"]


def test_it_is_started_again_but_for_what_a_person_has_to_mend() -> None:
    service = members()["Service"]
    assert service["Restart"] == ["always"]
    assert service["RestartPreventExitStatus"] == ["2"]
    assert members()["Unit"]["StartLimitIntervalSec"] == ["0"]


def test_a_reload_reads_the_integrations_again() -> None:
    assert members()["Service"]["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_it_has_no_rights_that_it_does_not_need() -> None:
    service = members()["Service"]
    assert service["User"] == ["moment-sync"]
    assert service["CapabilityBoundingSet"] == [""]
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices"):
        assert service[name] == ["yes"], name
    assert service["ProtectSystem"] == ["strict"]


def test_its_environment_is_made_of_settings_and_no_secret() -> None:
    given = environment()
    settings = load(given)
    assert settings.kafka_password_file == "/etc/moment-sync/secrets/kafka"
    assert settings.ledger == f"sqlite:///{'/var/lib/moment-sync'}/moment-sync.db"
    service = members()["Service"]
    assert service["EnvironmentFile"] == ["/etc/moment-sync/environment"]
    assert "MOMENT_SYNC_WEB=127.0.0.1:808%i" in service["Environment"]
    commented = re.findall(r"^# (MOMENT_SYNC_\w+)=(.*)$", ENVIRONMENT.read_text(), re.MULTILINE)
    assert load({**given, **dict(commented)}).ledger.startswith("postgresql://")
