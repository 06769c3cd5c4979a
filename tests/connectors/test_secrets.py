import os
from pathlib import Path

from connectors.integrations import Secret
from connectors.secrets import BELIEVED_S, SECRET_MAX_BYTES, SecretStore, Unreadable


def test_a_secret_comes_from_a_file_without_the_white_space_around_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  abc\n")
    assert SecretStore({}).read(Secret(file=str(file))) == "abc"


def test_a_secret_comes_from_the_environment() -> None:
    assert SecretStore({"TOKEN": "abc\n"}).read(Secret(env="TOKEN")) == "abc"


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    secret = Secret(file=str(file))
    store = SecretStore({})
    file.write_text("one")
    assert store.read(secret) == "one"
    fresh = tmp_path / "next"
    fresh.write_text("two")
    fresh.replace(file)
    assert store.read(secret) == "two"


def test_a_change_that_leaves_no_mark_is_found_when_asked_for_anew(tmp_path: Path) -> None:
    """Some file systems keep times by the second."""
    file = tmp_path / "token"
    secret = Secret(file=str(file))
    store = SecretStore({})
    file.write_text("one")
    facts = file.stat()
    assert store.read(secret) == "one"
    file.write_text("two")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert store.read(secret) == "one"
    assert store.read(secret, anew=True) == "two"


def test_with_a_clock_a_file_is_looked_at_once_in_a_while(tmp_path: Path) -> None:
    """Every call asks for its token; what was found to be gone is looked at each time."""
    file = tmp_path / "token"
    secret = Secret(file=str(file))
    now = [100.0]
    store = SecretStore({}, lambda: now[0])
    assert isinstance(store.read(secret), Unreadable)
    file.write_text("one")
    assert store.read(secret) == "one"
    file.write_text("three")
    now[0] += BELIEVED_S / 2
    assert store.read(secret) == "one"
    assert store.read(secret, anew=True) == "three"
    file.unlink()
    now[0] += BELIEVED_S * 1.5
    assert isinstance(store.read(secret), Unreadable)


def test_what_cannot_be_read_is_told_and_never_raised(tmp_path: Path) -> None:
    store = SecretStore({"EMPTY": " "})
    empty, binary, large = tmp_path / "empty", tmp_path / "binary", tmp_path / "large"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    large.write_bytes(b"x" * (SECRET_MAX_BYTES + 1))
    wrong = [
        Secret(env="EMPTY"),
        Secret(env="MISSING"),
        Secret(),
        Secret(file=str(tmp_path)),
        *(Secret(file=str(one)) for one in (tmp_path / "none", empty, binary, large)),
    ]
    assert all(isinstance(store.read(one), Unreadable) for one in wrong)


def test_the_store_shows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hush")
    store = SecretStore({"OTHER": "hush"})
    store.read(Secret(file=str(file)))
    assert "hush" not in repr(store)
