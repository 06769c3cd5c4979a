"""Takes: in order within a partition, and nothing acked after one has failed."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from schemas.wire import Record
from streams import ingest
from streams.ingest import TAKES_MAX, Health, Signs, Takes
from tests.conftest import BackgroundErrors


def record(lane: int, offset: int) -> Record:
    return Record(
        topic="moment.customers", partition=lane, offset=offset, timestamp_ms=0, key=None, value=b""
    )


class Gate:
    """An intake whose takes end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.ends: dict[tuple[int, int], asyncio.Future[None]] = {}

    async def take(self, records: Sequence[Record]) -> None:
        place = (records[0].partition, records[0].offset)
        self.begun.append(place)
        self.ends[place] = asyncio.get_running_loop().create_future()
        await self.ends[place]

    async def resume_at(
        self,
        committed: Mapping[tuple[str, int], int],
    ) -> Mapping[tuple[str, int], int]:
        return committed


class Scene:
    def __init__(self) -> None:
        self.gate = Gate()
        self.acked: list[tuple[int, int]] = []
        self.failures: list[str] = []
        self.takes = Takes(self.gate, self.failures.append)

    async def begin(self, lane: int, offset: int) -> None:
        await self.takes.begin(
            lane, [record(lane, offset)], lambda: self.acked.append((lane, offset))
        )
        await self.turn()

    async def end(self, lane: int, offset: int, error: BaseException | None = None) -> None:
        if error is None:
            self.gate.ends[lane, offset].set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            self.gate.ends[lane, offset].cancel()
        else:
            self.gate.ends[lane, offset].set_exception(error)
        await self.turn()

    @staticmethod
    async def turn() -> None:
        """Let everything run that can."""
        for _ in range(10):
            await asyncio.sleep(0)


def test_a_partition_is_taken_in_order_and_others_beside_it() -> None:
    async def main() -> None:
        scene = Scene()
        for lane, offset in ((0, 1), (0, 2), (1, 1)):
            await scene.begin(lane, offset)
        assert scene.gate.begun == [(0, 1), (1, 1)]
        assert scene.acked == []
        await scene.end(1, 1)
        await scene.end(0, 1)
        assert scene.acked == [(1, 1), (0, 1)]
        await scene.end(0, 2)
        assert scene.acked == [(1, 1), (0, 1), (0, 2)]
        assert await scene.takes.settle(1)

    asyncio.run(main())


@pytest.mark.parametrize("error", [OSError("disk full"), asyncio.CancelledError()])
def test_after_a_failure_nothing_that_comes_later_is_taken_or_acked(
    error: BaseException, background_errors: BackgroundErrors
) -> None:
    """Faust commits the highest ack: one more in that partition would cover what failed."""

    async def main() -> None:
        scene = Scene()
        for lane, offset in ((0, 1), (0, 2), (1, 1)):
            await scene.begin(lane, offset)
        await scene.end(0, 1, error)
        assert len(scene.failures) == 1
        assert "moment.customers/0 from 1 on" in scene.failures[0]
        assert scene.gate.begun == [(0, 1), (1, 1)]
        await scene.end(1, 1)
        assert scene.acked == [(1, 1)], "what was durable may be acked, and no more"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await scene.begin(0, 3)
        await scene.takes.end()

    asyncio.run(main())
    assert len(background_errors.take("^ingest_failed")) == 1


def test_no_more_takes_than_allowed_are_under_way() -> None:
    async def main() -> None:
        scene = Scene()
        for lane in range(TAKES_MAX):
            await scene.begin(lane, 0)
        one_more = asyncio.create_task(scene.begin(TAKES_MAX, 0))
        await scene.turn()
        assert len(scene.gate.begun) == TAKES_MAX
        await scene.end(0, 0)
        await one_more
        assert len(scene.gate.begun) == TAKES_MAX + 1
        await scene.takes.end()

    asyncio.run(main())


def test_settling_is_bounded_and_says_so_and_what_is_given_up_is_not_acked() -> None:
    async def main() -> None:
        scene = Scene()
        await scene.begin(0, 1)
        await scene.begin(0, 2)
        assert not await scene.takes.settle(0.01)
        await scene.takes.end()
        assert scene.acked == []
        assert scene.gate.begun == [(0, 1)]
        assert scene.failures == []

    asyncio.run(main())


WELL = Signs(crashed=None, coordinator_error=None, rebalancing=False, acks=0, behind=False)


def signs(**changed: object) -> Signs:
    import msgspec

    return msgspec.structs.replace(WELL, **changed)


def judged(*moments: tuple[float, Signs]) -> str | None:
    health = Health()
    verdicts = [health.judge(seen, now) for now, seen in moments]
    assert verdicts[:-1] == [None] * (len(verdicts) - 1)
    return verdicts[-1]


def test_a_worker_that_is_well_goes_on() -> None:
    assert judged((1, WELL), (1e9, WELL)) is None


def test_a_crash_and_a_parked_error_end_the_worker_at_once() -> None:
    assert judged((1, signs(crashed="boom"))) == "Faust crashed: boom"
    assert judged((1, signs(coordinator_error="E"))) == "the group's coordination ended: E"


def test_a_rebalance_may_take_two_minutes_and_no_more() -> None:
    long = ingest.REBALANCING_MAX_S
    moving = signs(rebalancing=True)
    assert judged((1, moving), (1 + long, moving)) is None
    assert judged((1, moving), (2 + long, moving)) is not None
    assert judged((1, moving), (50, WELL), (2 + long, moving), (1 + 2 * long, moving)) is None


def test_standing_still_with_more_to_read_ends_the_worker() -> None:
    long = ingest.NO_PROGRESS_S
    behind = signs(behind=True)
    assert judged((1, behind), (1 + long, behind)) is None
    assert judged((1, behind), (2 + long, behind)) is not None
    assert (
        judged(
            (1, behind), (200, signs(behind=True, acks=5)), (2 + long, signs(behind=True, acks=5))
        )
        is None
    )
    assert judged((1, behind), (200, WELL), (2 + long, behind)) is None
    assert judged((1, behind), (200, signs(rebalancing=True)), (2 + long, behind)) is None
