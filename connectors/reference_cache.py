"""Reference data of accounting systems (accounts, VAT codes, products): read once for all.

What was found is kept for an hour. What was not found is never kept: whoever is about to say
that a code is missing gets it from a read that began after they asked, and all who wait share
that read (design section 7), those too whose turn came only after it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from connectors.port import Clock, Hold, Refused, Retry

KEEP_S: Final = 3600.0
"""How long a value serves; the settings' reader sees a change in the books within this."""

SPACING_S: Final = 10.0
"""At least this long from one read that found nothing (good enough) to the next of that key."""

ENTRIES_MAX: Final = 10_000
"""Per integration; the largest product lists seen have some thousands."""


class Fetched(msgspec.Struct, frozen=True):
    """What a read gave: the value, None (not in the books) or a verdict. `trail`: its exchanges.

    A value from the cache has no trail.
    """

    value: Any
    trail: tuple[Any, ...] = ()


Fetch = Callable[[], Awaitable[Fetched]]
Suits = Callable[[Any], bool]


class _Read:
    """One read of one key: when it began, and its end."""

    __slots__ = ("began_at", "task")

    def __init__(self) -> None:
        self.began_at: float | None = None
        self.task: asyncio.Task[Fetched]


class _Entry:
    __slots__ = ("epoch", "kept_at", "missed", "missed_at", "read", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.kept_at = 0.0
        self.missed: Fetched | None = None  # the last read, where it was not good enough
        self.missed_at: float | None = None  # when it began
        self.epoch = 0  # grows when the entry is forgotten: a read from before is not kept
        self.read: _Read | None = None


class ReferenceCache:
    """Values per integration id and key, shared by all deliveries of a worker."""

    def __init__(
        self, clock: Clock, *, keep_s: float = KEEP_S, spacing_s: float = SPACING_S
    ) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._spacing_s = spacing_s
        self._entries: dict[str, dict[str, _Entry]] = {}

    async def look(
        self,
        integration_id: str,
        key: str,
        suits: Suits,
        fetch: Fetch,
        *,
        asked_at: float | None = None,
    ) -> Fetched:
        """The value of `key`, cached if it suits, else from a read that began after `asked_at`.

        `asked_at` is of the clock's elapsed time; None: now. Waits for a read, and for up to ten
        seconds before one where the last was in vain. An exception of `fetch` reaches all who
        wait for it.
        """
        entry = self._entry(integration_id, key)
        asked_at = self._clock.elapsed() if asked_at is None else asked_at
        if self._good(entry, suits):
            return Fetched(entry.value)
        if (missed := self._missed_since(entry, asked_at)) is not None:
            return missed
        while True:
            # Of a read that began before it was asked for only a yes is of use.
            read = entry.read or self._begin(entry, suits, fetch)
            if read.task is asyncio.current_task():
                raise RuntimeError("a read of reference data asks for itself")
            ours = read.began_at is None or read.began_at > asked_at
            found = await asyncio.shield(read.task)
            if ours or (_is_value(found.value) and suits(found.value)):
                return found
            if self._good(entry, suits):
                return Fetched(entry.value)

    def forget(self, integration_id: str, prefix: str) -> None:
        """Drop what was kept under keys that start with `prefix` (all, where it is empty)."""
        entries = self._entries.get(integration_id, {})
        for key in [key for key in entries if key.startswith(prefix)]:
            entry = entries[key]
            entry.value = None
            entry.missed = None
            entry.missed_at = None  # something changed: the next read need not keep its distance
            entry.epoch += 1

    async def close(self) -> None:
        """End reads that are under way."""
        reads = [
            entry.read.task
            for entries in self._entries.values()
            for entry in entries.values()
            if entry.read is not None
        ]
        for task in reads:
            task.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    def _entry(self, integration_id: str, key: str) -> _Entry:
        entries = self._entries.setdefault(integration_id, {})
        entry = entries.get(key)
        if entry is None:
            if len(entries) >= ENTRIES_MAX:
                entries.pop(next(iter(entries)))
            entry = entries[key] = _Entry()
        return entry

    def _good(self, entry: _Entry, suits: Suits) -> bool:
        return (
            entry.value is not None
            and self._clock.elapsed() - entry.kept_at < self._keep_s
            and suits(entry.value)
        )

    def _missed_since(self, entry: _Entry, asked_at: float) -> Fetched | None:
        """A read in vain that began after `asked_at` and no longer ago than two must be apart."""
        missed_at = entry.missed_at
        if missed_at is None or missed_at <= asked_at:
            return None
        return entry.missed if self._clock.elapsed() - missed_at < self._spacing_s else None

    def _begin(self, entry: _Entry, suits: Suits, fetch: Fetch) -> _Read:
        read = entry.read = _Read()
        read.task = asyncio.create_task(self._run(entry, read, suits, fetch), name="reference read")
        return read

    async def _run(self, entry: _Entry, read: _Read, suits: Suits, fetch: Fetch) -> Fetched:
        try:
            return await self._read(entry, read, suits, fetch)
        finally:
            # Here and not when the task is done: nobody may find a read that has already ended.
            entry.read = None

    async def _read(self, entry: _Entry, read: _Read, suits: Suits, fetch: Fetch) -> Fetched:
        if entry.missed_at is not None:
            pause = entry.missed_at + self._spacing_s - self._clock.elapsed()
            if pause > 0:
                await asyncio.sleep(pause)
        began_at, epoch = self._clock.elapsed(), entry.epoch
        read.began_at = began_at
        found = await fetch()
        good = _is_value(found.value) and suits(found.value)
        current = entry.epoch == epoch
        in_vain = current and not good and not _is_verdict(found.value)
        entry.missed = Fetched(found.value) if in_vain else None
        entry.missed_at = began_at if in_vain else None
        if _is_value(found.value) and current:
            entry.value, entry.kept_at = found.value, began_at
        return found


def _is_verdict(value: Any) -> bool:
    return isinstance(value, Retry | Hold | Refused)


def _is_value(value: Any) -> bool:
    return value is not None and not _is_verdict(value)
