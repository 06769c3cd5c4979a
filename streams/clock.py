"""The one place that reads clocks, draws random numbers and makes ids."""

import secrets
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")

# A UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, the rest random but for these.
_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62


class SystemClock:
    """The machine's clocks, as `connectors.port.Clock` wants them. Reading never blocks."""

    def __init__(self) -> None:
        self._boot_id = _boot_id()

    def now(self) -> datetime:
        """The wall clock, aware, in UTC. For people, dates of HTTP and tokens; it may jump."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Seconds since boot by CLOCK_BOOTTIME: suspended time counts, and it never goes back."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    @property
    def boot_id(self) -> str:
        """The host's name and the kernel's id of this boot."""
        return self._boot_id


def new_id() -> str:
    """A new id, 32 hexadecimal digits: a UUID of version 7, so that ids sort roughly by time."""
    random_a = secrets.randbits(12) << 64
    random_b = secrets.randbits(62)
    stamp = (time.time_ns() // 1_000_000) << 80
    return f"{stamp | _VERSION | random_a | _VARIANT | random_b:032x}"


def new_random() -> Random:
    """A source of jitter, seeded by the operating system. Not for secrets."""
    return Random(secrets.randbits(128))  # noqa: S311 - jitter of pauses is no secret


def _boot_id() -> str:
    """In a container the host's name sets apart what shares a kernel. Without /proc, a new id."""
    try:
        boot = BOOT_ID_FILE.read_text(encoding="ascii").strip()
    except OSError:
        boot = new_id()  # cannot be compared with anything: times start anew, which is safe
    return f"{socket.gethostname()}/{boot}"
