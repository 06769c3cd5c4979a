"""What was read as a secret is never told again, however it comes back."""

from pathlib import Path

import pytest

from connectors import known_secrets
from connectors.integrations import Secret
from connectors.known_secrets import KEPT_MAX, remember, remembered
from connectors.redaction import cleared
from connectors.secrets import SecretStore


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_secrets, "_known", {})


def test_a_secret_is_known_from_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    store = SecretStore({"TOKEN": "from-the-environment"})
    assert store.read(Secret(file=str(file))) == "from-a-file"
    assert store.read(Secret(env="TOKEN")) == "from-the-environment"
    assert set(remembered()) == {"from-a-file", "from-the-environment"}
    file.write_text("renewed-file")
    store.read(Secret(file=str(file)))
    assert set(remembered()) > {"from-a-file", "renewed-file"}, "the old one is still valid"


def test_of_a_key_every_line_is_known_and_its_frame_is_not() -> None:
    remember(
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----"
    )
    assert set(remembered()) == {"MIIEvQIBADANBg", "kqhkiG9w0BAQEF"}


def test_what_is_too_short_or_nothing_hides_no_words() -> None:
    for text in (None, "", "  ", "abc", "\n\n"):
        remember(text)
    assert remembered() == ()


def test_of_two_of_which_one_holds_the_other_nothing_is_left() -> None:
    remember("secret")
    remember("secret-and-more")
    assert cleared("it is secret-and-more, or secret", remembered()) == (
        "it is [hidden], or [hidden]"
    )


def test_the_oldest_are_forgotten_and_what_is_read_again_is_young(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert KEPT_MAX > 1_000
    monkeypatch.setattr(known_secrets, "KEPT_MAX", 2)
    for text in ("first-one", "second-one", "first-one", "third-one"):
        remember(text)
    assert set(remembered()) == {"first-one", "third-one"}
