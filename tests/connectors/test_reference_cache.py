"""Reference data: read once for all who wait, and a no is never remembered."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from connectors import reference_cache
from connectors.port import Hold, Refused, Retry
from connectors.reference_cache import KEEP_S, Fetched, ReferenceCache
from schemas.failures import Failure, FailureCode
from tests.connectors.loopback import HandClock, soon

FAILURE = Failure(code=FailureCode.SYSTEM_UNAVAILABLE, parameters={"status": "503"})


def anything(_value: Any) -> bool:
    return True


class Books:
    """A fetch that counts, answers when let, and gives `values` one after the other."""

    def __init__(self, *values: Any, clock: HandClock | None = None) -> None:
        self.values = list(values)
        self.reads = 0
        self.begun_at: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.clock = clock

    async def fetch(self) -> Fetched:
        self.reads += 1
        if self.clock is not None:
            self.begun_at.append(self.clock.seconds)
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        await self.gate.wait()
        if isinstance(value, Exception):
            raise value
        return Fetched(value, ("trail",))


def make(spacing_s: float = 0.0) -> tuple[ReferenceCache, HandClock]:
    clock = HandClock()
    return ReferenceCache(clock, spacing_s=spacing_s), clock


def run(main: Callable[[], Any]) -> None:
    asyncio.run(main())


def test_a_hundred_who_wait_make_one_read() -> None:
    async def main() -> None:
        cache, _ = make()
        books = Books("account")
        looks = [cache.look("i", "account:3000", anything, books.fetch) for _ in range(100)]
        found = await asyncio.gather(*looks)
        assert {one.value for one in found} == {"account"}
        assert books.reads == 1

    run(main)


def test_a_hundred_who_wait_share_one_no_as_well() -> None:
    async def main() -> None:
        cache, _ = make(spacing_s=1000)
        books = Books(None)
        looks = [cache.look("i", "k", anything, books.fetch) for _ in range(100)]
        assert {one.value for one in await asyncio.gather(*looks)} == {None}
        assert books.reads == 1

    run(main)


def test_what_was_found_serves_for_an_hour_and_is_then_read_again() -> None:
    async def main() -> None:
        cache, clock = make()
        books = Books("old", "new")
        assert (await cache.look("i", "k", anything, books.fetch)).trail == ("trail",)
        clock.seconds += KEEP_S - 1
        assert await cache.look("i", "k", anything, books.fetch) == Fetched("old")
        clock.seconds += 2
        assert (await cache.look("i", "k", anything, books.fetch)).value == "new"

    run(main)


def test_integrations_and_keys_do_not_share() -> None:
    async def main() -> None:
        cache, _ = make()
        books = Books("a", "b", "c")
        values = [
            (await cache.look(integration, key, anything, books.fetch)).value
            for integration, key in (("i", "k"), ("i", "l"), ("j", "k"), ("i", "k"))
        ]
        assert values == ["a", "b", "c", "a"]

    run(main)


def test_a_cached_value_that_does_not_suit_is_read_again_and_the_fresh_one_is_the_answer() -> None:
    async def main() -> None:
        cache, _ = make()
        books = Books(15, 20, 25)
        assert (await cache.look("i", "vat", anything, books.fetch)).value == 15
        found = await cache.look("i", "vat", lambda rate: rate == 25, books.fetch)
        assert found.value == 20, "not what was hoped for, but fresh"
        assert (await cache.look("i", "vat", lambda rate: rate == 25, books.fetch)).value == 25
        assert (await cache.look("i", "vat", lambda rate: rate == 25, books.fetch)).value == 25
        assert books.reads == 3

    run(main)


@pytest.mark.parametrize(
    "verdict", [Retry(failure=FAILURE), Hold(failure=FAILURE), Refused(failure=FAILURE)]
)
def test_a_read_that_failed_is_not_kept_and_the_next_may_begin_at_once(verdict: Any) -> None:
    async def main() -> None:
        cache, _ = make(spacing_s=1000)
        books = Books(verdict, "there")
        assert (await cache.look("i", "k", anything, books.fetch)).value == verdict
        assert (await cache.look("i", "k", anything, books.fetch)).value == "there"

    run(main)


def test_a_no_is_read_by_all_after_they_asked_but_only_once_in_ten_seconds() -> None:
    """Who asks while a read is under way needs one that begins later; all of them share it."""

    async def main() -> None:
        cache, _ = make(spacing_s=0.1)
        books = Books(None, None, "now it is there")
        books.gate.clear()
        first = asyncio.create_task(cache.look("i", "k", anything, books.fetch))
        await soon(lambda: books.reads == 1)
        later = [
            asyncio.create_task(cache.look("i", "k", anything, books.fetch)) for _ in range(50)
        ]
        await asyncio.sleep(0)
        books.gate.set()
        assert (await first).value is None
        assert {one.value for one in await asyncio.gather(*later)} == {None}
        assert books.reads == 2
        assert (await cache.look("i", "k", anything, books.fetch)).value == "now it is there"

    run(main)


def test_the_next_read_after_a_no_keeps_its_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        clock = HandClock()
        cache = ReferenceCache(clock)

        async def pass_time(seconds: float) -> None:
            clock.seconds += seconds

        monkeypatch.setattr(asyncio, "sleep", pass_time)
        books = Books(None, clock=clock)
        for _ in range(4):
            await cache.look("i", "k", anything, books.fetch)
            clock.seconds += 1
        assert books.begun_at == [1000.0, 1010.0, 1020.0, 1030.0]

    run(main)


def test_a_read_that_suited_lets_the_next_one_begin_at_once() -> None:
    """Only a no keeps its distance: what was good a moment ago may be asked for otherwise."""

    async def main() -> None:
        cache, _ = make(spacing_s=1000)
        books = Books("old", "new")
        assert (await cache.look("i", "k", anything, books.fetch)).value == "old"
        async with asyncio.timeout(5):
            found = await cache.look("i", "k", lambda value: value == "new", books.fetch)
        assert found.value == "new"

    run(main)


def test_who_asks_while_a_read_is_under_way_takes_its_yes() -> None:
    async def main() -> None:
        cache, _ = make(spacing_s=1000)
        books = Books("there")
        books.gate.clear()
        first = asyncio.create_task(cache.look("i", "k", anything, books.fetch))
        await soon(lambda: books.reads == 1)
        second = asyncio.create_task(cache.look("i", "k", anything, books.fetch))
        await asyncio.sleep(0)
        books.gate.set()
        assert [(await first).value, (await second).value] == ["there", "there"]
        assert books.reads == 1

    run(main)


def test_forgetting_drops_what_starts_with_the_prefix_and_lets_a_read_begin_at_once() -> None:
    async def main() -> None:
        cache, _ = make(spacing_s=1000)
        books = Books(None, "made", "other", "made again")
        assert (await cache.look("i", "product:a", anything, books.fetch)).value is None
        cache.forget("i", "product:")
        assert (await cache.look("i", "product:a", anything, books.fetch)).value == "made"
        assert (await cache.look("i", "account:1", anything, books.fetch)).value == "other"
        cache.forget("i", "product:")
        assert (await cache.look("i", "account:1", anything, books.fetch)).value == "other"
        assert (await cache.look("i", "product:a", anything, books.fetch)).value == "made again"

    run(main)


def test_a_read_that_began_before_forgetting_is_not_kept() -> None:
    async def main() -> None:
        cache, _ = make()
        books = Books("stale", "fresh")
        books.gate.clear()
        first = asyncio.create_task(cache.look("i", "k", anything, books.fetch))
        await soon(lambda: books.reads == 1)
        cache.forget("i", "")
        books.gate.set()
        assert (await first).value == "stale"
        assert (await cache.look("i", "k", anything, books.fetch)).value == "fresh"

    run(main)


def test_one_who_gives_up_waiting_does_not_end_the_read_for_the_others() -> None:
    async def main() -> None:
        cache, _ = make()
        books = Books("there")
        books.gate.clear()
        looks = [asyncio.create_task(cache.look("i", "k", anything, books.fetch)) for _ in range(3)]
        await soon(lambda: books.reads == 1)
        looks[0].cancel()
        await asyncio.sleep(0)
        books.gate.set()
        assert [(await look).value for look in looks[1:]] == ["there", "there"]
        assert books.reads == 1

    run(main)


def test_an_exception_reaches_all_who_wait_and_the_next_may_try() -> None:
    async def main() -> None:
        cache, _ = make()
        books = Books(ValueError("bug"), "there")
        looks = [cache.look("i", "k", anything, books.fetch) for _ in range(3)]
        raised = await asyncio.gather(*looks, return_exceptions=True)
        assert all(isinstance(one, ValueError) for one in raised)
        assert (await cache.look("i", "k", anything, books.fetch)).value == "there"

    run(main)


def test_a_read_that_asks_for_itself_is_a_bug_and_no_deadlock() -> None:
    async def main() -> None:
        cache, _ = make()

        async def fetch() -> Fetched:
            return await cache.look("i", "k", anything, fetch)

        async with asyncio.timeout(5):
            with pytest.raises(RuntimeError, match="itself"):
                await cache.look("i", "k", anything, fetch)

    run(main)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(reference_cache, "ENTRIES_MAX", 10)
        cache, _ = make()
        books = Books("there")
        for key in range(50):
            await cache.look("i", str(key), anything, books.fetch)
        assert len(cache._entries["i"]) == 10

    run(main)


def test_closing_ends_reads_under_way() -> None:
    async def main() -> None:
        cache, _ = make()
        books = Books("there")
        books.gate.clear()
        look = asyncio.create_task(cache.look("i", "k", anything, books.fetch))
        await soon(lambda: books.reads == 1)
        await cache.close()
        with pytest.raises(asyncio.CancelledError):
            await look

    run(main)


def test_a_no_serves_all_who_had_asked_before_it_was_read_also_where_their_turn_comes_later() -> (
    None
):
    """Bookings of a company go one at a time: each would wait ten seconds for a no of its own."""

    async def main() -> None:
        cache, clock = make(spacing_s=1000)
        books = Books(None)
        asked_at = clock.elapsed() - 5
        for _ in range(100):
            found = await cache.look("i", "k", anything, books.fetch, asked_at=asked_at)
            assert found.value is None
        assert books.reads == 1

    run(main)


def test_a_no_that_was_read_before_they_asked_serves_nobody() -> None:
    async def main() -> None:
        cache, clock = make()
        books = Books(None, "mended")
        assert (await cache.look("i", "k", anything, books.fetch)).value is None
        clock.seconds += 1
        found = await cache.look("i", "k", anything, books.fetch, asked_at=clock.elapsed())
        assert found.value == "mended"

    run(main)


def test_a_no_that_is_old_serves_nobody_who_waited_longer_still() -> None:
    async def main() -> None:
        cache, clock = make(spacing_s=10)
        books = Books(None, "mended")
        asked_at = clock.elapsed() - 5
        await cache.look("i", "k", anything, books.fetch, asked_at=asked_at)
        clock.seconds += 10
        found = await cache.look("i", "k", anything, books.fetch, asked_at=asked_at)
        assert found.value == "mended"

    run(main)
