"""Reading secrets from where settings say they are kept: a file or an environment variable."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from connectors.integrations import Secret
from connectors.known_secrets import remember

SECRET_MAX_BYTES: Final = 64 * 1024
"""A PEM key has about 3 KiB; a file far beyond that is the wrong file."""

BELIEVED_S: Final = 0.5
"""A file is looked at this often at most: a look costs as much as the rest of a call's start."""


class Unreadable(msgspec.Struct, frozen=True):
    """A secret could not be had. `reason` is fit for people and holds no content of the file."""

    reason: str


class FileMark(NamedTuple):
    """What of a file changes when it is written anew or another one takes its place."""

    changed_ns: int
    size: int
    number: int


def file_mark(secret: Secret | None) -> FileMark | None:
    """The mark of a secret's file; None where it is in none, or cannot be seen now.

    Blocks for one `stat` of a local file.
    """
    if secret is None or secret.file is None:
        return None
    try:
        return _mark_of(secret.file)
    except OSError:
        return None


def _mark_of(path: str) -> FileMark:
    facts = os.stat(path)  # noqa: PTH116 - on the path of every request
    return FileMark(facts.st_mtime_ns, facts.st_size, facts.st_ino)


class SecretStore:
    """Secrets, read anew whenever their file changes.

    `read` blocks for one `stat` of a local file and, after a change, for one small read. With a
    clock (`elapsed`, in seconds) a change is seen within `BELIEVED_S`, without one at once.
    """

    def __init__(
        self, environment: Mapping[str, str], elapsed: Callable[[], float] | None = None
    ) -> None:
        self._environment = environment
        self._elapsed = elapsed
        self._files: dict[str, tuple[FileMark, str]] = {}
        self._seen: dict[str, float] = {}  # when a file was last looked at and as it was known

    def read(self, secret: Secret, *, anew: bool = False) -> str | Unreadable:
        """The secret's value without white space around it.

        `anew` reads the file even where it looks unchanged (after a 401: some file systems keep
        times by the second). Never raises for a missing, empty or unreadable secret.
        """
        if secret.env is not None:
            return self._from_environment(secret.env)
        if secret.file is not None:
            return self._from_file(secret.file, anew=anew)
        return Unreadable("no file and no environment variable is named for it")

    def _from_environment(self, name: str) -> str | Unreadable:
        value = self._environment.get(name, "").strip()
        remember(value)
        return value or Unreadable(f"the environment variable {name} is empty or not set")

    def _from_file(self, path: str, *, anew: bool) -> str | Unreadable:
        known = self._files.get(path)
        now = None if self._elapsed is None else self._elapsed()
        if known is not None and not anew and now is not None:
            seen = self._seen.get(path)
            if seen is not None and now - seen < BELIEVED_S:
                return known[1]
        try:
            mark = _mark_of(path)
            if now is not None:
                self._seen[path] = now
            if known is not None and known[0] == mark and not anew:
                return known[1]
            if mark.size > SECRET_MAX_BYTES:
                return Unreadable("its file is too large for a secret")
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            return Unreadable(f"its file cannot be read: {error.strerror or 'unknown error'}")
        except UnicodeDecodeError:
            return Unreadable("its file is not text")
        if not value:
            return Unreadable("its file is empty")
        remember(value)
        self._files[path] = (mark, value)
        return value

    def __repr__(self) -> str:
        return "SecretStore(…)"
