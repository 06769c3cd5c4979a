"""SIGINT ends a replay also where what it waited for kept the cancellation to itself."""

import asyncio
import contextlib

import pytest

from streams.ops.mend_course import heed_interrupt


def test_a_cancellation_that_was_swallowed_is_heard_at_the_next_look() -> None:
    async def deaf() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    async def story() -> None:
        heard: list[str] = []

        async def course() -> None:
            await deaf()
            heard.append("went on")
            heed_interrupt()
            heard.append("and on")

        task = asyncio.create_task(course())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert heard == ["went on"]

    asyncio.run(story())


def test_nobody_who_was_not_interrupted_is_stopped() -> None:
    async def story() -> None:
        heed_interrupt()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        heed_interrupt()

    asyncio.run(story())
