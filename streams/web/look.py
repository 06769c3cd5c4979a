"""Looking at a worker from outside its event loop, so that a loop that hangs is seen too.

Two threads: the pages' own looks every second and costs nothing; another reads the ledger now
and then, at most a twentieth of the time.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec

from connectors.port import Clock
from streams.crash_output import safe
from streams.dispatch import Dispatcher
from streams.ledger.engine import Ledger
from streams.ledger.standing import Movable, Sample, movable, sample
from streams.limits import longest
from streams.metrics_meters import Meters
from streams.publish import Publisher
from streams.settings import Settings
from streams.tenants import Tenant
from streams.web.health import STALL_SLACK_S, Flow, Limits, Problem, Signs, Watch
from streams.web.kafka_side import KafkaSide
from streams.web.pulse import Pulse

log = logging.getLogger(__name__)

SAMPLE_EVERY_S: Final = 15.0  # as often as Prometheus comes by
SAMPLE_SHARE: Final = 20.0  # a sample that took a second is not taken again for twenty
OLD_S: Final = 60.0  # a look into the ledger that is older says nothing of now


class Watched(Protocol):
    """The worker, as far as its pages look at it."""

    settings: Settings
    ledger: Ledger
    dispatcher: Dispatcher
    publisher: Publisher
    meters: Meters
    owner: str
    clock: Clock
    reader: KafkaSide

    @property
    def ready(self) -> bool:
        """Whether the group is joined."""

    @property
    def stopping(self) -> bool:
        """Whether it is about to end."""


class Seen(msgspec.Struct, frozen=True):
    """What was read from the ledger, and when: elapsed and wall time in seconds."""

    elapsed: float
    wall: float
    sample: Sample
    movable: Movable


def patience(settings: Settings) -> Limits:
    """How long what may last: no call, and nothing that waits for one, takes longer."""
    most = longest(settings)
    return Limits(stalled=most.timeout_s + most.settle_s + STALL_SLACK_S)


class Looker:
    """Looks at one worker. `look` and `problems` may be called from any one thread."""

    def __init__(self, worker: Watched, pulse: Pulse, limits: Limits | None = None) -> None:
        self._worker = worker
        self._pulse = pulse
        self._watch = Watch(limits or patience(worker.settings))
        self.seen: Seen | None = None
        self.problems: tuple[Problem, ...] = ()

    def tenants(self) -> Mapping[str, Tenant]:
        """Those of the moment; the worker goes on changing them."""
        return dict(list(self._worker.dispatcher.desk.tenants.by_id.items()))

    def look(self) -> None:
        """Look once."""
        clock = self._worker.clock
        now, wall = clock.elapsed(), clock.now().timestamp()
        found = self._watch.look(self._signs(now, wall), wall, now)
        _tell_changes(self.problems, found)
        self.problems = found

    def _signs(self, elapsed: float, wall: float) -> Signs:
        worker, meters = self._worker, self._worker.meters
        since = meters.writing_since
        seen = self.seen if self.seen and elapsed - self.seen.elapsed < OLD_S else None
        found = seen.movable if seen else Movable()
        kafka = self._pulse.kafka_seen_at
        answers = kafka is not None and elapsed - kafka < OLD_S
        oldest = found.outbox_oldest_at if answers else None
        return Signs(
            beats=self._pulse.beats,
            unwritable=_one_line(worker.ledger.unwritable),
            writing_s=0.0 if since is None else max(0.0, elapsed - since),
            polls=worker.reader.polls if answers and not worker.stopping else None,
            flows={} if worker.stopping else self._flows(found.heads),
            overdue_s=0.0 if worker.stopping else found.overdue_s,
            unpublished_s=0.0 if oldest is None else max(0.0, wall - oldest),
            published=worker.publisher.published,
        )

    def _flows(self, heads: Mapping[str, int]) -> dict[str, Flow]:
        moved = self._worker.meters.moved
        return {
            name: Flow(heads.get(name), tenant.in_flight, moved.get(name, 0))
            for name, tenant in self.tenants().items()
        }

    def read_ledger(self) -> float:
        """Read the ledger once; blocks. Returns how many seconds it took. Raises what it raises."""
        worker = self._worker
        begun, boot = worker.clock.elapsed(), worker.clock.boot_id
        free = self._free()
        in_force = [name for name, tenant in self.tenants().items() if not tenant.removed]
        counted = worker.ledger.read_now(lambda c: sample(c, in_force))
        found = worker.ledger.read_now(lambda c: movable(c, worker.owner, free, begun, boot))
        ended = worker.clock.elapsed()
        self.seen = Seen(ended, worker.clock.now().timestamp(), counted, found)
        return ended - begun

    def _free(self) -> Iterable[str]:
        """Integrations that nothing keeps from going on: not held, paused, removed or unknown."""
        now = self._worker.dispatcher.desk.now()
        return [
            name
            for name, tenant in self.tenants().items()
            if not tenant.removed
            and tenant.books is not None
            and tenant.held() is None
            and not tenant.paused(now)
        ]


def _one_line(said: str | None) -> str | None:
    """What a database said, without what is nobody's business; drivers say it on several lines."""
    return None if said is None else safe(said).partition("\n")[0]


def _tell_changes(before: tuple[Problem, ...], now: tuple[Problem, ...]) -> None:
    were, are = ({problem.kind for problem in some} for some in (before, now))
    for problem in now:
        if problem.kind not in were:
            log.warning(
                "%s: %s",
                problem.kind.value,
                problem.text,
                extra={"action": "problem", "integrations": ", ".join(problem.about)},
            )
    for kind in sorted(were - are):
        log.info("%s is over", kind.value, extra={"action": "problem_over"})


class Sampler:
    """The thread that reads the ledger. Ends by itself soon after `stop`, or with the process."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-sampler", daemon=True)
        self._failing = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more. Waits for nothing."""
        self._ending.set()

    def _run(self) -> None:
        pause = 0.0
        while not self._ending.wait(pause):
            took = 0.0
            try:
                took = self._looker.read_ledger()
                self._failing = False
            except Exception as error:  # numbers are worth no worker: they are old, and say so
                if not self._failing and not self._ending.is_set():
                    log.warning(
                        "the ledger's numbers cannot be read, trying on: %s",
                        type(error).__name__,
                        extra={"action": "numbers_not_read"},
                    )
                self._failing = True
            pause = max(SAMPLE_EVERY_S, took * SAMPLE_SHARE)
