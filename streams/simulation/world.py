"""The simulated world of one history: time, Kafka, the books, the workers, and all that happens."""

import functools
from collections.abc import Callable, Mapping, Sequence

from connectors.integrations import DataType, Integration, System
from connectors.port import Answer
from streams.ledger.memory import MemoryLedger
from streams.ports import OutboxRow
from streams.settings import Settings, load
from streams.simulation import history as told
from streams.simulation.books import Books, Entry, Order
from streams.simulation.connector import SimulatedConnector
from streams.simulation.events import event_of, integration_of
from streams.simulation.group import Group
from streams.simulation.history import History
from streams.simulation.invariants import Invariants
from streams.simulation.kafka import Kafka
from streams.simulation.loop import Timeline
from streams.simulation.luck import Luck
from streams.simulation.outside import RESTART_S, Outside
from streams.simulation.wire import READ_FAULTS, WRITE_FAULTS, Call
from streams.simulation.worker import Host, Worker

SESSION_S = 6.0  # after which the group takes a silent worker's lanes away
PRUNES_FROM_S = 35.0  # nothing is old enough to go, so only long histories look for it
SOON_S = 2.0  # what comes later than that keeps nobody awake

# Short, so that a history is; in proportion as the defaults are.
SETTINGS: Settings = load(
    {
        f"MOMENT_SYNC_{name}": value
        for name, value in {
            "PARENT_WAIT": "20s",
            "RETRY_BASE": "1s",
            "RETRY_MAX": "20s",
            "RETRY_FOR": "30m",
            "HOLD_PROBE": "5s",
            "HOLD_PROBE_MAX": "30s",
            "BREAKER_OPEN": "8s",
            "SPAREBANK1_TIMEOUT": "6s",
            "SPAREBANK1_SETTLE": "4s",
            "DKPLUS_TIMEOUT": "9s",
            "DKPLUS_SETTLE": "8s",
            "DKPLUS_BOOKINGS": "2",
        }.items()
    }
)


_INTENDED = (
    "SELECT 1 FROM deliveries d JOIN lanes l ON l.lane = d.lane "
    "WHERE l.owner = ? AND d.state = 'sending' AND d.intent IS NOT NULL"
)


class World:
    """Everything outside the workers, and the workers themselves."""

    def __init__(self, history: History, ledger: MemoryLedger) -> None:
        self.history = history
        self.ledger = ledger
        self.settings = SETTINGS
        self.timeline = Timeline()
        self.seen: dict[str, int] = {}
        self.invariants = Invariants(ledger, self.note)
        self.kafka = Kafka(self._published)
        self.set_ups = {one.id: integration_of(one) for one in history.setups}
        self.integrations: Mapping[str, Integration] = dict(self.set_ups)
        self.companies: Sequence[str] = sorted({one.company for one in history.setups})
        self.coming = 0  # events and trouble that are still to come
        self.prunes = history.seconds >= PRUNES_FROM_S
        self.books = {one.id: Books(one.id, one.system, self) for one in history.setups}
        self.hosts = [Host(self.timeline, number) for number in range(history.hosts)]
        self.workers: dict[int, Worker] = {}
        self.calm = False  # nothing goes wrong any more
        self.mended = False
        self.used: dict[str, str] = {}  # faults that came about, by call
        self.steps = 0
        self.puts: list[told.Put] = []
        self._counts: dict[str, int] = {}
        self._walked: dict[tuple[int, str], int] = {}
        self._struck: set[int] = set()
        self._lives = 0
        self.group = Group(self)
        self.stopped = False  # for a restore
        self.was_restored = False  # its ledger is one of a copy
        self._changes = ledger.changes
        self.outside = Outside(self)
        self._begin()

    def _begin(self) -> None:
        wall = self.hosts[0].now().timestamp()
        for one in self.history.setups:
            for number in one.present:
                self.books[one.id].put("customer", number, "before", "-", 0.0)
            if one.known:
                self.ledger.execute(
                    "INSERT INTO books VALUES (?, ?, ?, ?)",
                    one.id,
                    f"books of {one.id}",
                    wall - 1e7,
                    wall - 1e6,
                )
        for action in self.history.actions:
            self.sometime(action.at, functools.partial(self.outside.act, action))
        self.start_all()

    # -- the port `Around` ----------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The time."""
        return self.timeline.now

    def nth(self, what: str) -> int:
        """How often this was asked before."""
        count = self._counts[what] = self._counts.get(what, 0) + 1
        return count

    def luck(self, name: str) -> Luck:
        """Chance that belongs to a name in this history."""
        return Luck(f"{self.history.seed} {name}")

    def fault_of(self, integration: str, name: str, write: bool) -> str:
        """What goes wrong with this call."""
        del integration
        if self.calm:
            return ""
        if self.history.faults is not None:
            return self.history.faults.get(name, "")
        luck = self.luck(f"fault {name}")
        if luck.random() >= self.history.fault_rate:
            return ""
        write_faults = self.history.write_faults or WRITE_FAULTS
        fault = luck.choice(write_faults if write else READ_FAULTS)
        self.used[name] = fault
        self.note(f"faults: {fault}")
        return fault

    def books_of(self, integration: str) -> Books:
        """The books behind an integration."""
        return self.books[integration]

    def away(self, integration: str) -> str:
        """Whether they are down, or refuse our credentials."""
        return self.outside.away.get(integration, "")

    def is_bad(self, order: Order) -> bool:
        """Whether the books refuse this record for what is in it."""
        return not self.mended and order.entity in self.history.bad

    def later(self, when: float, todo: Callable[[], None]) -> None:
        """Do something at a time, whatever becomes of the worker."""
        self.timeline.at(when, todo, busy=when < self.now + SOON_S)

    def sometime(self, when: float, todo: Callable[[], None]) -> None:
        """As `later`, of trouble: nothing is at rest before it has come."""
        self.coming += 1

        def come() -> None:
            self.coming -= 1
            todo()

        self.timeline.at(when, come)

    def leaves(self, call: Call) -> None:
        """A write's bytes leave."""
        self.invariants.leaves(call, self.now)

    def lands(self, call: Call) -> None:
        """A write is done, or never will be."""
        self.invariants.lands(call)

    def answered(self, call: Call) -> None:
        """A worker has an answer, or gave up."""
        self.invariants.answered(call)
        answer = call.answer
        if call.order is not None and call.effect_at is not None and not isinstance(answer, Answer):
            self.note("writes done whose answer was lost")
        if call.order is None and isinstance(answer, Answer) and answer.body == b"[]":
            _, integration, kind, how, number = call.name.replace("/", " ").split(" ")[:5]
            if how == "by-number":
                self.invariants.absent(integration, f"{kind}/{number}", call.gone_at)

    # -- the port `Watcher` ---------------------------------------------------------------------

    def written(self, integration: str, order: Order, before: Entry | None) -> None:
        """A write takes effect."""
        self.invariants.written(integration, order, before)
        books = self.books[integration]
        carried = self.set_ups[integration].data
        if order.customer is not None and not books.has("customer", order.customer):
            self._orphan(integration, order, f"customer/{order.customer}")
        if (
            order.project is not None
            and DataType.PROJECTS in carried
            and not self._switches_of(integration)
            and not books.has("project", order.project)
        ):
            self._orphan(integration, order, f"project/{order.project}")

    def _orphan(self, integration: str, order: Order, parent: str) -> None:
        if not self.was_removed(integration, parent):
            self.invariants.tell("parent-first", f"{integration} {order.entity} before {parent}")

    def was_removed(self, integration: str, entity: str) -> bool:
        """Whether a person took a customer out of these books."""
        return any(
            isinstance(action, told.Remove)
            and action.at <= self.now
            and (action.integration, f"customer/{action.number}") == (integration, entity)
            for action in self.history.actions
        )

    def content_of(self, event: str, integration: str) -> str:
        """What the books should say after the first event of this id."""
        put = next(one for one in self.puts if one.id == event)
        entity = event_of(put)
        return SimulatedConnector().content(entity, self.set_ups[integration]).decode()

    def system_of(self, integration: str) -> System:
        """Which accounting system it is of, set up or not."""
        return self.set_ups[integration].system

    def note(self, what: str) -> None:
        """Count something that happened."""
        self.seen[what] = self.seen.get(what, 0) + 1

    def _switches_of(self, integration: str) -> list[told.Switch]:
        return [
            action
            for action in self.history.actions
            if isinstance(action, told.Switch)
            and action.integration == integration
            and action.at <= self.now
        ]

    def was_off(self, integration: str, put: told.Put) -> bool:
        """Whether this event may have been read while its type, or all of it, was off."""
        return any(f"{put.kind}s" not in one.data for one in self._switches_of(integration))

    def calm_down(self) -> None:
        """From now on nothing goes wrong: who sleeps wakes, who is away comes back."""
        self.calm = True
        self.outside.away.clear()
        for name, integration in self.set_ups.items():
            if self.integrations.get(name) is not integration:
                self.outside.set_up(name, integration)
        for worker in self.workers.values():
            if worker.asleep:
                self._wake(worker)

    # -- workers --------------------------------------------------------------------------------

    def strikes(self, worker: Worker, step: str) -> bool:
        """Whether something happens to a worker right before this step of it."""
        self.steps += 1
        index = worker.index
        for kind in ("", step):
            self._walked[index, kind] = self._walked.get((index, kind), 0) + 1
        if self.calm:
            return False
        for place, strike in enumerate(self.history.strikes):
            walked = self._walked.get((index, strike.kind), 0)
            due = strike.worker == index and strike.step <= walked and strike.kind in {"", step}
            if due and place not in self._struck:
                self._struck.add(place)
                self._strike(worker, strike)
                return True
        return False

    def _strike(self, worker: Worker, strike: told.Strike) -> None:
        name = "sleeps" if strike.sleeps is not None else "crashes"
        self.note(name)
        if worker.http.writing:
            self.note(f"{name} with a write on its way")
        if self.ledger.rows(_INTENDED, worker.owner):
            self.note(f"{name} between intent and verdict")
        if strike.sleeps is not None:
            worker.sleep()
            self.sometime(self.now + strike.sleeps, lambda: self._wake(worker))
            if strike.sleeps > SESSION_S:
                self.sometime(self.now + SESSION_S, self.group.rebalance)
            return
        worker.kill()
        del self.workers[worker.index]
        alone = all(one.host is not worker.host for one in self.workers.values())
        if strike.reboot and alone:
            self.note("reboots")
            worker.host.reboot()
        self.sometime(self.now + SESSION_S, self.group.rebalance)
        self.sometime(self.now + RESTART_S, lambda: self._start(worker.index))

    def _wake(self, worker: Worker) -> None:
        if not worker.dead:
            worker.wake()
            self.later(self.now + 0.5, self.group.rebalance)

    def start_all(self) -> None:
        """Start every worker."""
        for index in range(self.history.workers):
            self._make(index)
        self.group.rebalance()

    def _start(self, index: int) -> None:
        if index not in self.workers and not self.stopped:
            self._make(index)
            self.group.rebalance()

    def _make(self, index: int) -> None:
        self._lives += 1
        host = self.hosts[index % len(self.hosts)]
        self.workers[index] = Worker(self, index, self._lives, host)

    def joined(self, worker: Worker) -> None:
        """A worker has given up its lanes."""
        self.group.joined(worker)

    def awake(self) -> list[Worker]:
        """Workers that the group hears."""
        return [one for _, one in sorted(self.workers.items()) if not one.asleep]

    def wrote(self) -> None:
        """A transaction is on disk."""
        if self.ledger.changes == self._changes:
            return
        self._changes = self.ledger.changes
        self.timeline.stir()
        if self.ledger.rows("SELECT 1 FROM outbox WHERE NOT published LIMIT 1"):
            for each in self.workers.values():
                self.later(self.now, functools.partial(each.gate, "", each.rows))
        self.invariants.committed()

    def broke(self, what: str) -> None:
        """Something raised that must not."""
        self.invariants.tell("raised", what)

    def _published(self, row: OutboxRow) -> None:
        self.invariants.published(row.position, row.record.value, row.record.topic)
