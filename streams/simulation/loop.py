"""Simulated time: one queue of what happens, and an event loop for each worker that lives in it.

Everything runs in one thread in an order that depends on the seed alone: tasks of a worker in
the order in which they were woken, as asyncio does it; everything else by its time.
"""

import asyncio
import contextvars
import heapq
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

Todo = Callable[[], None]

IDLE_JUMP_MAX_S = 60.0  # while nothing happens, time goes on in growing steps, at most of this
IDLE_JUMP_S, IDLE_JUMP_GROWS = 1.0, 3.0  # the first, and by how much the next is longer
QUIET_JUMP_S = 2.0  # the second jump in a row
MOST_AT_ONCE = 20_000  # handles of a loop without time going on: more is a loop that spins


class SpinError(Exception):
    """A worker is busy without time going on: a bug of the code under test."""


class Timeline:
    """What happens, and when. `busy` counts what is under way; timers of workers do not."""

    def __init__(self) -> None:
        self.now = 0.0
        self.busy = 0
        self._queue: list[tuple[float, int, bool, Todo]] = []
        self._timers: list[tuple[float, int, Todo]] = []
        self._order = 0
        self._jump = 0.0

    def at(self, when: float, todo: Todo, *, busy: bool = False) -> None:
        """Do something at a time, or at once when that is past."""
        self._order += 1
        self.busy += busy
        heapq.heappush(self._queue, (max(when, self.now), self._order, busy, todo))

    def after(self, seconds: float, todo: Todo) -> None:
        """Do something that is under way from now on."""
        self.at(self.now + seconds, todo, busy=True)

    def timer(self, when: float, todo: Todo) -> None:
        """Wake somebody who would else sleep; while all sleep, they may wake late."""
        self._order += 1
        heapq.heappush(self._timers, (when, self._order, todo))

    def stir(self) -> None:
        """Something has changed: go on in small steps."""
        self._jump = 0.0

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way, and nothing has changed while all who sleep woke twice."""
        return not self.busy and self._jump > QUIET_JUMP_S

    def step(self, until: float) -> bool:
        """Do the next thing that is due before `until`. False when there is none."""
        due = self._queue[0][0] if self._queue else until
        waking = self._timers[0][0] if self._timers else until
        if min(due, waking) >= until:
            self.now = max(self.now, until)
            return False
        if due <= waking:
            when, _, busy, todo = heapq.heappop(self._queue)
            self.busy -= busy
        else:
            if not self.busy and waking > self.now:
                self._jump = min(IDLE_JUMP_MAX_S, self._jump * IDLE_JUMP_GROWS + IDLE_JUMP_S)
                self.now = max(self.now, min(waking + self._jump, due, until))
            when, _, todo = heapq.heappop(self._timers)
        self.now = max(self.now, when)
        todo()
        return True


class VirtualLoop(asyncio.AbstractEventLoop):
    """An event loop whose time is the timeline's. `run` is called whenever something woke it."""

    def __init__(self, timeline: Timeline, wake: Callable[[Todo], None]) -> None:
        self._timeline = timeline
        self._wake = wake  # how a timer comes back to its worker
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self.closed = False
        self.errors: list[str] = []

    def run(self) -> None:
        """Run all that is ready. Raises `SpinError`."""
        ready = self._ready
        if not ready:
            return
        asyncio._set_running_loop(self)  # noqa: SLF001 - made for loops of one's own
        try:
            for _ in range(MOST_AT_ONCE):
                if not ready:
                    return
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001 - as above
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - as above
        raise SpinError

    def kill(self) -> None:
        """Break everything off, as a process ends: nothing that runs now reaches anybody."""
        self.closed = True
        for task in list(self._tasks):
            task.cancel()
        while self._ready:
            self.run()

    # -- what asyncio asks of a loop ------------------------------------------------------------

    def time(self) -> float:
        """The timeline's."""
        return self._timeline.now

    def call_soon(  # type: ignore[override]  # typeshed has a type variable tuple here
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Run a callback in its turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]  # as above
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """There is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]  # as above
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after a delay."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # as above
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback at a time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timeline.timer(when, lambda: self._due(handle))
        return handle

    def _due(self, handle: asyncio.TimerHandle) -> None:
        if not (handle.cancelled() or self.closed):
            self._wake(lambda: self._ready.append(handle))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer stays in the timeline until its time."""

    def create_future(self) -> "asyncio.Future[Any]":
        """Make a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> "asyncio.Task[Any]":
        """Make a task of this loop."""
        task: asyncio.Task[Any] = asyncio.Task(
            coro,
            loop=self,
            name=name,
            context=context,
        )
        self._tasks.add(task)
        return task

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """Until the process ends."""
        return not self.closed

    def is_closed(self) -> bool:
        """Never: what is broken off may still look."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody caught."""
        if not self.closed:
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")
