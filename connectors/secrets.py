"""Reading secrets from where settings say they are kept: a file or an environment variable."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from connectors.integrations import Secret

SECRET_MAX_BYTES: Final = 64 * 1024
"""A PEM key has about 3 KiB; a file far beyond that is the wrong file."""


class Unreadable(msgspec.Struct, frozen=True):
    """A secret could not be had. `reason` is fit for people and holds no content of the file."""

    reason: str


class SecretStore:
    """Secrets, read anew whenever their file changes.

    `read` blocks for one `stat` of a local file and, after a change, for one small read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._files: dict[str, tuple[tuple[int, int, int], str]] = {}

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
        return value or Unreadable(f"the environment variable {name} is empty or not set")

    def _from_file(self, path: str, *, anew: bool) -> str | Unreadable:
        try:
            facts = os.stat(path)  # noqa: PTH116 - on the path of every request
            mark = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            known = self._files.get(path)
            if known is not None and known[0] == mark and not anew:
                return known[1]
            if facts.st_size > SECRET_MAX_BYTES:
                return Unreadable("its file is too large for a secret")
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            return Unreadable(f"its file cannot be read: {error.strerror or 'unknown error'}")
        except UnicodeDecodeError:
            return Unreadable("its file is not text")
        if not value:
            return Unreadable("its file is empty")
        self._files[path] = (mark, value)
        return value

    def __repr__(self) -> str:
        return "SecretStore(…)"
