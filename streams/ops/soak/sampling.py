"""What is measured of a run: each worker's process, from outside, and the ledger."""

import re
from pathlib import Path
from typing import Final

import msgspec

from connectors.http import HttpSession
from connectors.port import Answer
from streams.ledger.queries import Standings, ask, standings
from streams.ledger.size import bytes_in_use
from streams.metrics import Metric

PROCESSES: Final = Path("/proc")
CALL_S: Final = 5.0
KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * 1024


class WorkerSample(msgspec.Struct, frozen=True, kw_only=True):
    """One worker at one moment. `tasks` is None where its page did not answer."""

    resident_mib: float
    files: int
    threads: int
    tasks: float | None = None


class LedgerSample(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger at one moment: its size, how many deliveries it has had, how many are open."""

    size_bytes: int
    deliveries: int
    open: int


def of_process(pid: int) -> WorkerSample | None:
    """What Linux says of a process; None where it has ended."""
    directory = PROCESSES / str(pid)
    try:
        status = (directory / "status").read_text(encoding="ascii", errors="replace")
        files = sum(1 for _ in (directory / "fd").iterdir())
    except OSError:
        return None
    found = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE))
    if len(found) < 2:  # noqa: PLR2004 - both; a process that is ending has no memory
        return None
    return WorkerSample(
        resident_mib=int(found["VmRSS"]) * KIBIBYTE / MEBIBYTE,
        files=files,
        threads=int(found["Threads"]),
    )


async def tasks_of(web: str) -> float | None:
    """How many tasks a worker says that it has, on the metrics page at `host:port`."""
    allowed = frozenset({web, web.rpartition(":")[0]})
    async with HttpSession(frozenset({web}), allowed) as session:
        answer = await session.send(
            f"http://{web}/metrics",
            method="GET",
            headers={},
            body=None,
            deadline_s=CALL_S,
            may_send=lambda: True,
        )
    if not isinstance(answer, Answer) or not answer.ok:
        return None
    name = re.escape(Metric.LOOP_TASKS.value.name)
    found = re.search(rf"^{name} ([0-9.e+]+)$", answer.body.decode(), re.MULTILINE)
    return None if found is None else float(found[1])


def of_ledger(url: str) -> LedgerSample:
    """Size and counts. Blocks; raises what the database does."""
    size = ask(url, bytes_in_use)
    found: Standings = ask(url, standings)
    states = [one.states for one in found.integrations]
    settled = {"applied", "unchanged", "superseded", "stale", "manual", "discarded", "withdrawn"}
    ended = settled | {"dead"}
    return LedgerSample(
        size_bytes=size,
        deliveries=sum(sum(one.values()) for one in states),
        open=sum(many for one in states for state, many in one.items() if state not in ended),
    )
