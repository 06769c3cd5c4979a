"""The simulated platform behind aiohttp: faults, delays, and who is in flight with whom.

Answers are made one at a time by `api.Simulator`; only waiting happens side by side.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from connectors.simulation_faults import (
    Delayed,
    FaultPlan,
    FaultRule,
    Reply,
    Sighting,
    Twist,
    gone,
    perform,
)
from connectors.sparebank1.simulator.api import Simulator
from connectors.sparebank1.simulator.calls import Call, classify
from connectors.sparebank1.simulator.judge import Judge
from connectors.sparebank1.simulator.settings import SimulatorConfig
from connectors.sparebank1.simulator.state import StateFile

Clock = Callable[[], datetime]
BODY_MAX = 4 * 1024 * 1024  # bytes; a thousand vouchers are smaller
LOG_MAX = 5_000  # requests kept for whoever asks what was called
# A client that has closed its line is noticed a moment later; only then is a second booking judged.
FLIGHT_GRACE_SECONDS = 0.1


class Flight:
    """One booking on its way."""

    def __init__(self, company: str, request: web.Request) -> None:
        self.company = company
        self.request = request
        self.answered = False  # to a client that was still there

    @property
    def alive(self) -> bool:
        """Whether its client waits for the answer, or has had it."""
        return self.answered or not gone(self.request)


class Flights:
    """The bookings in flight; two of one company at once are a violation."""

    def __init__(self, judge: Judge, clock: Clock) -> None:
        self._judge, self._clock = judge, clock
        self._open: set[Flight] = set()

    def begin(self, company: str, request: web.Request) -> Flight:
        """A booking has arrived."""
        mine = Flight(company, request)
        others = [flight for flight in self._open if flight.company == company]
        loop = asyncio.get_running_loop()
        for other in others:
            loop.call_later(FLIGHT_GRACE_SECONDS, self._judge_pair, other, mine)
        self._open.add(mine)
        return mine

    def end(self, flight: Flight) -> None:
        """Its answer is ready, or will never come."""
        flight.answered = not gone(flight.request)
        self._open.discard(flight)

    def _judge_pair(self, first: Flight, second: Flight) -> None:
        if first.alive:
            text = "a second booking came while one was in flight"
            self._judge.note(self._clock(), second.company, "simultaneous-bookings", text)


class Server:
    """One running simulator: its books, its faults, and the log of what was asked."""

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        self.config, self.clock = config, clock
        self.simulator = Simulator(config, clock())
        self.faults = FaultPlan(config.faults, config.seed)
        self.state = StateFile(config.state_path, self.simulator) if config.state_path else None
        self.flights = Flights(self.simulator.judge, clock)
        self.delayed = Delayed()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_MAX)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the platform, as the faults allow."""
        call = classify(
            request.method,
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            f"{request.scheme}://{request.host}",
        )
        flight = self.flights.begin(call.company, request) if call.booking else None
        try:
            return await self._answered(request, call)
        finally:
            if flight is not None:
                self.flights.end(flight)

    async def _answered(self, request: web.Request, call: Call) -> web.StreamResponse:
        wait_ms = self.config.delay_ms + (self.config.booking_delay_ms if call.booking else 0)
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        sighting = Sighting(
            method=call.method, path=call.path, company=call.company, kind=call.kind
        )
        rule = self.faults.decide(sighting)
        entry = self._logged(call, rule)

        def act(twist: Twist) -> Reply:
            reply = self.simulator.answer(call, self.clock(), twist)
            self.keep()
            entry["status"] = reply.status
            return reply

        return await perform(rule, request, act, delayed=self.delayed, now=self.clock())

    def _logged(self, call: Call, rule: FaultRule | None) -> dict[str, Any]:
        entry = {
            "at": self.clock().isoformat(),
            "company": call.company,
            "method": call.method,
            "path": call.path,
            "query": call.query,
            "kind": call.kind,
            "fault": rule.fault.value if rule else None,
            "status": None,  # what the platform itself made of it; None: it never got there
        }
        self.log.append(entry)
        return entry

    def keep(self) -> None:
        """Put what changed on disk, where the books are kept there."""
        if self.state is not None:
            self.state.append()

    async def close(self, _app: web.Application) -> None:
        """Drop what was still to be committed and close the file."""
        self.delayed.close()
        if self.state is not None:
            self.state.close()
