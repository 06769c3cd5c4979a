"""`moment-sync console`: the console alone, as a process of its own."""

import hashlib
import json
import signal
import urllib.request
from pathlib import Path

from tests.ops.running import end, run, started


def test_it_serves_beside_a_ledger_and_ends_when_told(sqlite_world: str, tmp_path: Path) -> None:
    settings = {"LEDGER": sqlite_world, "KAFKA": "127.0.0.1:1"}
    process = started(tmp_path, "console", "--listen", "127.0.0.1:0", "--json", **settings)
    try:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["console"]
        with urllib.request.urlopen(f"{address}dead", timeout=30) as answer:  # noqa: S310 - our own address
            assert b"Dead letters" in answer.read()
    finally:
        code, _ = end(process, signal.SIGTERM)
    assert code == 0


def test_wrong_settings_end_it_with_a_word(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    people = tmp_path / "people.toml"
    people.write_text("[[people]]\n")
    for arguments, settings, says in (
        (("--listen", "8081"), {}, "is not host:port"),
        ((), {"CONSOLE": "off"}, "read or act"),
        ((), {"CONSOLE": "act"}, "CONSOLE_USER_HEADER"),
        ((), {"CONSOLE_PEOPLE": str(people)}, "name"),
    ):
        done = run(tmp_path, "console", *arguments, LEDGER=url, **settings)
        assert done.returncode == 2
        assert says in done.stderr


def test_a_new_token_comes_with_the_lines_for_the_file(tmp_path: Path) -> None:
    done = run(tmp_path, "console", "--new-token", "kari", "--json")
    made = json.loads(done.stdout)
    assert hashlib.sha256(made["token"].encode()).hexdigest() == made["token_sha256"]
    assert "token_sha256" in run(tmp_path, "console", "--new-token", "kari").stdout
