"""No secret in anything that a worker or a command writes, whoever says it back to them.

A real worker on a real Kafka that asks for a password, with a PostgreSQL ledger, both accounting
systems and a mail server that asks for one. Every log is on.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kafka.guarded_broker import PASSWORD
from tests.security import loud_worker, planted
from tests.security.planted import DB_PASSWORD, SMTP_PASSWORD
from tests.security.story import Story

pytestmark = [pytest.mark.kafka, pytest.mark.postgresql]

JWT = re.compile(r"eyJ[\w-]{20,}\.[\w-]{20,}")


def clean(story: Story, text: str, *, company_keys: bool = True) -> None:
    """Fails where a secret is in the text, naming it by what it is."""
    known = story.scene.secrets() | (story.scene.company_keys() if company_keys else {})
    assert len(known) > 30
    found = [what for what, secret in known.items() if secret in text]
    assert found == []
    assert JWT.findall(text) == []


def test_the_log_at_every_level_with_frames_and_locals(story: Story) -> None:
    text = story.scene.log.read_text(encoding="utf-8")
    for level in ("debug", "info", "error", "critical"):
        assert f'"level": "{level}"' in text, f"nothing was logged at {level}"
    assert "SaslAuthenticateRequest" in text, "the login was logged, and cleared"
    assert "[hidden]" in text
    assert '"action": "frames"' in text
    assert '"action": "crashed"' in text
    clean(story, text, company_keys=False)


def test_the_objects_and_stacks_of_the_worker(story: Story) -> None:
    reprs = (story.scene.directory / loud_worker.REPRS).read_text(encoding="utf-8")
    for name in ("TokenCredentials", "SecretStore", "Integration(", "Settings("):
        assert name in reprs
    assert "no repr" not in reprs
    clean(story, reprs, company_keys=False)
    stacks = (story.scene.directory / loud_worker.STACKS).read_text()
    assert "most recent call first" in stacks
    clean(story, stacks)


def test_outcomes_and_dead_letters(story: Story) -> None:
    scene = story.scene
    assert {one.kind for one in scene.wire.told} >= {"applied", "dead", "held"}
    clean(story, planted.told_text(scene.wire.told))
    letters = "\n".join(repr(one) for one in scene.wire.letters)
    assert "[hidden]" in letters, "the answer is quoted, and cleared"
    clean(story, letters)


def test_mails(story: Story) -> None:
    assert SMTP_PASSWORD.encode() in story.office.logins
    clean(story, planted.mail_text(story.office))


def test_metrics_and_pages(story: Story) -> None:
    assert "# HELP" in story.pages
    clean(story, story.pages)


def test_the_ledger(story: Story) -> None:
    """Company keys stand in it by right: they name books, and open nothing by themselves."""
    rows = list(story.scene.rows())
    assert {"inbox", "deliveries", "attempts", "outbox", "holds"} <= {name for name, _ in rows}
    attempts = "\n".join(text for name, text in rows if name == "attempts")
    assert "[hidden]" in attempts
    clean(story, "\n".join(text for _, text in rows), company_keys=False)


COMMANDS = (
    ("config",),
    ("config", "--json"),
    ("status",),
    ("status", "--json"),
    ("check", "--integration", "no-400"),
    ("check", "--integration", "is-401", "--json"),
    ("verify", "--integration", "no-404", "--json"),
    ("deadletters", "list"),
    ("deadletters", "list", "--json"),
    ("deadletters", "histogram", "--json"),
    ("show", "c-no-400", "invoice", "1001"),
    ("show", "c-no-400", "invoice", "1001", "--json"),
    ("show", "c-is-400", "invoice", "1001"),
    ("show", "c-is-401", "invoice", "1001", "--json"),
    ("show", "c-no-500", "invoice", "1001", "--json"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_commands_print(story: Story, words: tuple[str, ...]) -> None:
    done = story.scene.cli(*words)
    assert done.code in {0, 1, 3}, done
    assert done.out + done.err
    clean(story, done.out + done.err)


def test_refused_settings_are_named_and_not_quoted(story: Story) -> None:
    for what, changes in planted.written_wrong(story.scene).items():
        done = story.scene.cli("status", **changes)
        # What needs no integrations goes on without them, and says what is wrong.
        assert done.code == (0 if "INTEGRATIONS" in changes else 2), (what, done)
        assert done.err
        clean(story, done.out + done.err)


def test_a_wrong_password_is_told_without_it(story: Story, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text(f"{PASSWORD}-wrong")
    nowhere = f"postgresql://moment:{DB_PASSWORD}@127.0.0.1:9/x"
    cases = ({"KAFKA_PASSWORD_FILE": str(wrong)}, {"LEDGER": nowhere})
    with ThreadPoolExecutor() as side_by_side:  # each waits for half a minute
        found = list(side_by_side.map(lambda one: story.scene.cli("status", **one), cases))
    for done in found:
        assert done.code == 3, done
        clean(story, done.out + done.err)
