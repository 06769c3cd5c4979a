"""What a worker knows of each integration while it runs: its bound, its breaker, its holds."""

import math
from collections.abc import Mapping

import msgspec

from connectors import breaker, limiter, pacing
from connectors.attempts import Exchange
from connectors.breaker import BreakerPolicy, BreakerState
from connectors.integrations import Integration, System
from connectors.limiter import TOO_MANY_REQUESTS, LimiterPolicy, LimiterState
from connectors.pacing import PaceState
from connectors.secrets import FileMark
from schemas.failures import Failure, FailureCode
from streams.core.conclude import Policy, Result, What
from streams.ledger.holds import HoldRow
from streams.ledger.rules import Moment
from streams.limits import limits_of
from streams.settings import Settings

FAIR_SHARE = 4  # no integration takes more than a quarter of the slots while others wait
# Candidates read beyond those wanted: none, until some are found that have to wait.
SPARE_LEAST, SPARE_FIRST, SPARE_MOST = 0, 4, 256
ASK_IDENTITY_AGAIN_S = 3600.0  # hourly: an identity that changes holds the integration

_TRANSIENT = frozenset({FailureCode.SYSTEM_UNAVAILABLE, FailureCode.CONNECTION_FAILED})


class Tenant:
    """One integration in one worker. Holds no secret and does no I/O."""

    def __init__(self, integration: Integration, settings: Settings) -> None:
        self.integration = integration
        self.settings = settings
        self.place = 0  # in the round of turns
        self.removed = False  # not set up any more: what is in doubt is finished, and no more
        self.hungry = True  # there may be something ready
        self.crowded = False  # the slots for bookings were taken, maybe by another worker
        self.books: str | None = None
        self.look_up_until = 0.0
        self.identify_at = 0.0
        self.identifying = False
        self.token_mark: FileMark | None = None
        self.token_look_at = 0.0
        self.probing = False
        self.spare = SPARE_LEAST
        self.hold: HoldRow | None = None
        self.in_flight = 0
        self.share = 1.0  # of the lanes, those that this worker owns
        self._limiter_policy = LimiterPolicy(
            ceiling=limits_of(integration.system, settings).in_flight
        )
        self._limiter: LimiterState = limiter.begin(self._limiter_policy)
        self._pace: PaceState = pacing.UNPACED
        self._breaker_policy = BreakerPolicy(open_s=settings.breaker_open_s)
        self._breaker: BreakerState = breaker.CLOSED
        self._broken_since: float | None = None

    @property
    def bound(self) -> int:
        """How many deliveries of it may be in flight now, in this worker.

        The ceiling is meant for all workers: each takes as much of it as it has of the lanes.
        """
        ours = math.ceil(self._limiter_policy.ceiling * self.share)
        return min(int(self._limiter.bound), max(1, ours))

    @property
    def phase(self) -> breaker.Phase:
        """Where its breaker is."""
        return self._breaker.phase

    def take_over(self, integration: Integration) -> None:
        """Go on under changed settings; whose books they are is asked again."""
        self.integration = integration
        self.books = None  # nothing goes before it is known whose they are
        self.identify_at = 0.0

    def held(self) -> Failure | None:
        """Why it is held, None where it is not."""
        return self.hold.failure if self.hold is not None else None

    def paused(self, now: Moment) -> bool:
        """Whether the accounting system asked for a pause that is not over, or the breaker is."""
        if self.hold is not None and self.hold.paused(now.wall):
            return True
        return not breaker.allows(self._breaker, now.elapsed)

    def probe_due(self, now: Moment) -> bool:
        """Whether a held integration may be tried again."""
        if self.hold is None or self.probing:
            return False
        return self.hold.probe_due(now.wall, self.settings.hold_probe_max_s)

    def broken_for(self, elapsed: float) -> float:
        """For how many seconds the breaker has not been closed; 0 when it is."""
        return 0.0 if self._broken_since is None else elapsed - self._broken_since

    def pace(self, elapsed: float) -> float:
        """How many deliveries a second may start; infinite where no limit is known."""
        return pacing.pace(self._pace, elapsed)

    def paced_until(self, elapsed: float) -> float:
        """When its pace lets the next delivery start: now, or later."""
        return pacing.next_at(self._pace, elapsed)

    def room(self, slots: int, others_wait: bool, elapsed: float) -> int:
        """How many more deliveries may start now, of `slots` in the whole worker."""
        if self._breaker.phase is not breaker.Phase.CLOSED:
            return max(0, 1 - self.in_flight)  # one trial call, alone
        share = max(1, slots // FAIR_SHARE) if others_wait else slots
        room = min(self.bound, share) - self.in_flight
        return max(0, int(min(room, pacing.allowed(self._pace, elapsed))))

    def started(self, elapsed: float) -> None:
        """A delivery of it was claimed."""
        self._pace = pacing.on_start(self._pace, elapsed, in_flight=self.in_flight)
        self.in_flight += 1
        self._limiter = limiter.on_start(self._limiter)
        self._breaker = breaker.on_start(self._breaker, self._breaker_policy, elapsed)

    def was_given(self, claimed: int, moved: int) -> None:
        """A claim took so many, and found so many that have to wait: read more, or less, next."""
        if moved > claimed:
            self.spare = min(SPARE_MOST, max(SPARE_FIRST, self.spare * 2))
        else:
            self.spare = max(SPARE_LEAST, self.spare // 2)

    def ended(
        self,
        kind: str,
        exchanges: tuple[Exchange, ...],
        result: Result | None,
        seconds: float,
        elapsed: float,
    ) -> None:
        """The calls of a delivery have ended; None: they were interrupted."""
        self.in_flight -= 1
        last = exchanges[-1] if exchanges else None
        signal = limiter.Signal.NOTHING
        if last is not None and result is not None:
            signal = limiter.signal_of(last.status, last.no_answer)
        self._limiter = limiter.on_end(
            self._limiter,
            self._limiter_policy,
            kind=kind,
            seconds=seconds,
            signal=signal,
            now=elapsed,
        )
        if result is None or last is None:
            return
        self._pace = pacing.on_end(
            self._pace, refused=last.status == TOO_MANY_REQUESTS, seconds=seconds, now=elapsed
        )
        failed = result.what is What.RETRY and (
            result.failure is not None and result.failure.code in _TRANSIENT
        )
        if failed or result.what is What.UNSURE:
            self._breaker = breaker.on_failure(self._breaker, self._breaker_policy, elapsed)
        else:
            self._breaker = breaker.on_success(self._breaker)
        if self._breaker.phase is breaker.Phase.CLOSED:
            self._broken_since = None
        elif self._broken_since is None:
            self._broken_since = elapsed

    def ramp(self) -> None:
        """After a hold the flow starts again from one."""
        self._limiter = limiter.restart(self._limiter)
        self._breaker = breaker.CLOSED


class Tenants:
    """All integrations of a worker, and whose turn it is."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.by_id: dict[str, Tenant] = {}
        self._share = 1.0
        self._turn = 0

    def set_up(self, integrations: Mapping[str, Integration]) -> None:
        """Take the integrations that are in force now; what is known of the others stays."""
        for name, integration in integrations.items():
            tenant = self.by_id.get(name)
            if tenant is None:
                self.by_id[name] = Tenant(integration, self.settings)
                self.by_id[name].place = len(self.by_id)
            elif tenant.integration != integration:
                tenant.take_over(integration)
            self.by_id[name].hungry = True
            self.by_id[name].share = self._share
        for name, tenant in self.by_id.items():
            tenant.removed = name not in integrations

    def own(self, lanes: int, partitions: int) -> None:
        """Own so many of all lanes from now on: that is this worker's share of each bound."""
        self._share = min(1.0, lanes / max(partitions, 1))
        for tenant in self.by_id.values():
            tenant.share = self._share

    def in_force(self) -> dict[str, Integration]:
        """The integrations that are set up now."""
        return {name: t.integration for name, t in self.by_id.items() if not t.removed}

    def wake(self, names: frozenset[str]) -> None:
        """Something of these may be ready."""
        for name in names:
            tenant = self.by_id.get(name)
            if tenant is not None:
                tenant.hungry = True

    def crowd(self, names: frozenset[str]) -> None:
        """These had no slot for a booking: they are looked at again when the clock is."""
        for name in names & self.by_id.keys():
            self.by_id[name].crowded = True

    def wake_crowded(self) -> None:
        """A slot of another worker's may be free again, and nobody says so."""
        for tenant in self.by_id.values():
            tenant.hungry = tenant.hungry or tenant.crowded
            tenant.crowded = False

    def in_turn(self) -> list[Tenant]:
        """The hungry ones, beginning behind the one that was first the last time."""
        hungry = [t for t in self.by_id.values() if t.hungry and not t.removed]
        behind = [t for t in hungry if t.place > self._turn]
        return behind + hungry[: len(hungry) - len(behind)]

    def asked(self, tenant: Tenant) -> None:
        """It had its turn: the next round begins behind it."""
        self._turn = tenant.place


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """A system's limits: the policy of the core, and bookings in flight per company."""

    policy: Policy
    bookings: int


def timing_of(system: System, settings: Settings) -> Timing:
    """The limits of one accounting system."""
    limits = limits_of(system, settings)
    return Timing(
        policy=Policy(
            retry_base=settings.retry_base_s,
            retry_max=settings.retry_max_s,
            retry_for=settings.retry_for_s,
            settle=limits.settle_s,
            deadline=limits.timeout_s,
            parent_wait=settings.parent_wait_s,
        ),
        bookings=limits.bookings,
    )
