"""Environments of peers: made on demand in a folder of caches, never among our dependencies."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

HOME: Final = Path("~/.cache/moment-sync/benchmarks").expanduser()
INSTALL_S: Final = 600
ASK_S: Final = 30
NEWER: Final = 4  # minor versions that are looked for
TAIL: Final = 300  # characters of an installer's complaint
# What the workers of all peers in Python use besides the peer itself.
SHARED: Final = ("msgspec>=0.22", "orjson>=3.13", "aiohttp>=3.14,<4", "uvloop>=0.23")


class UnavailableError(Exception):
    """A peer cannot be had here; the text says why."""


def python_at_least(version: tuple[int, int]) -> str:
    """The command of a Python of this version or newer. Raises UnavailableError."""
    for minor in range(version[1], version[1] + NEWER):
        name = f"python{version[0]}.{minor}"
        kept = sorted(_kept_versions().glob(f"{version[0]}.{minor}.*/bin/{name}"))
        for found in (shutil.which(name), *map(str, kept)):
            if found is not None and _runs(found):
                return found
    raise UnavailableError(f"there is no Python {version[0]}.{version[1]} or newer here")


def _kept_versions() -> Path:
    """Where pyenv keeps the versions that are installed but not in use."""
    return Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"


def _runs(python: str) -> bool:
    """Whether it is more than a name: version managers leave empty shims."""
    done = subprocess.run(  # noqa: S603 - a Python that was found
        [python, "-c", "import venv"], check=False, capture_output=True, timeout=ASK_S
    )
    return done.returncode == 0


def environment(name: str, python: str, packages: Sequence[str], say: Callable[[str], None]) -> str:
    """The Python of an environment with these packages, made where it is not there yet.

    Raises UnavailableError.
    """
    place = HOME / name
    wanted = "\n".join((python, *SHARED, *packages))
    stamp, command = place / "installed", str(place / "bin" / "python")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return command
    say(f"installing {name} (once, into {place})")
    shutil.rmtree(place, ignore_errors=True)
    HOME.mkdir(parents=True, exist_ok=True)
    _run([python, "-m", "venv", str(place)])
    install = [command, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*install, *SHARED, *packages])
    stamp.write_text(wanted, encoding="utf-8")
    return command


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, check=False, capture_output=True, text=True, timeout=INSTALL_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise UnavailableError(done.stderr.strip()[-TAIL:] or f"{command[0]} failed")
