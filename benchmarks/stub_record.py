"""What came to the stub: order per key, doubles, calls side by side. Pure; times are arguments.

A contender puts the serial number of an event into the name that it writes, as `… #17`. Serials
of one key grow with the order of its events on Kafka, so the stub can judge without knowing them.
"""

from typing import Any

import msgspec

ARRIVALS_MAX = (
    200_000  # arrivals kept with their time: some 20 MB, far more than a latency case has
)


class Report(msgspec.Struct, kw_only=True, rename="camel"):
    """What came since the last reset. Times are wall clock seconds, 0 before the first write."""

    calls: int = 0
    reads: int = 0
    writes: int = 0
    first_write_at: float = 0.0
    last_write_at: float = 0.0
    most_in_flight: int = 0
    order_breaks: int = 0  # a write of a key with a smaller serial than one before it
    doubles: int = 0  # a serial of a key that was written already
    overlaps: int = 0  # a write of a key while another one of it was unanswered
    refused: int = 0  # answered with 429 on purpose
    failed: int = 0  # answered with another error, or never, on purpose


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """One call: what it is of, a write's serial, and when it was read from the wire."""

    key: str
    serial: int
    at: float
    write: bool = True


class Record:
    """Judges writes as they come. `settled` is the highest serial of each key that was answered."""

    def __init__(self) -> None:
        self.report = Report()
        self.arrivals: list[Arrival] = []
        self.keep_arrivals = False
        self._latest: dict[bytes, int] = {}
        self._open: dict[bytes, int] = {}
        self._in_flight = 0

    def reset(self, *, keep_arrivals: bool) -> None:
        """Count anew. What was seen of each key stays: order is judged over all rounds."""
        self.report = Report()
        self.arrivals = []
        self.keep_arrivals = keep_arrivals

    def read(self, key: bytes, at: float) -> None:
        """A call that changes nothing has come."""
        self.report.calls += 1
        self.report.reads += 1
        self._keep(key, 0, at, write=False)
        self._enter()

    def write(self, key: bytes, serial: int, at: float) -> None:
        """A write of `key` has come."""
        report = self.report
        report.calls += 1
        report.writes += 1
        report.first_write_at = report.first_write_at or at
        report.last_write_at = at
        latest = self._latest.get(key, -1)
        if serial < latest:
            report.order_breaks += 1
        elif serial == latest:
            report.doubles += 1
        else:
            self._latest[key] = serial
        if self._open.get(key):
            report.overlaps += 1
        self._open[key] = self._open.get(key, 0) + 1
        self._keep(key, serial, at, write=True)
        self._enter()

    def _keep(self, key: bytes, serial: int, at: float, *, write: bool) -> None:
        if self.keep_arrivals and len(self.arrivals) < ARRIVALS_MAX:
            self.arrivals.append(Arrival(key.decode(), serial, at, write))

    def _enter(self) -> None:
        self._in_flight += 1
        self.report.most_in_flight = max(self.report.most_in_flight, self._in_flight)

    def answered(self, key: bytes | None) -> None:
        """The answer to a call leaves, or will never come."""
        self._in_flight -= 1
        if key is None:
            return
        left = self._open.get(key, 0) - 1
        if left > 0:
            self._open[key] = left
        else:
            self._open.pop(key, None)

    def document(self) -> dict[str, Any]:
        """The report and the arrivals, for the wire."""
        return {"report": self.report, "arrivals": self.arrivals}
