"""The simulated world of one history: time, Kafka, the books, the workers, and all that happens."""

import functools
from collections.abc import Callable, Mapping
from datetime import date
from random import Random

from connectors.integrations import DataType, Integration
from connectors.port import Answer
from schemas.cloudevents import Attributes
from schemas.commands import TYPE_PREFIX, CommandData, encode_command
from schemas.lane import lane_key
from streams.ledger.memory import Copy, MemoryLedger
from streams.ports import OutboxRow
from streams.settings import Settings, load
from streams.simulation import history as told
from streams.simulation.books import Books, Entry, Order
from streams.simulation.connector import SimulatedConnector
from streams.simulation.events import event_of, integration_of, record_of
from streams.simulation.group import Group
from streams.simulation.history import History
from streams.simulation.invariants import Invariants
from streams.simulation.kafka import Kafka
from streams.simulation.loop import Timeline
from streams.simulation.wire import READ_FAULTS, WRITE_FAULTS, Call
from streams.simulation.worker import Host, Worker

SESSION_S = 6.0  # after which the group takes a silent worker's lanes away
RESTART_S = 3.0

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


class World:
    """Everything outside the workers, and the workers themselves."""

    def __init__(self, history: History, ledger: MemoryLedger) -> None:
        self.history = history
        self.ledger = ledger
        self.settings = SETTINGS
        self.timeline = Timeline()
        self.invariants = Invariants(ledger)
        self.kafka = Kafka(self._published)
        self.integrations: Mapping[str, Integration] = {
            one.id: integration_of(one) for one in history.setups
        }
        self.books = {one.id: Books(one.id, one.system, self) for one in history.setups}
        self.hosts = [Host(self.timeline, number) for number in range(history.hosts)]
        self.workers: dict[int, Worker] = {}
        self.calm = False  # nothing goes wrong any more
        self.mended = False
        self.used: dict[str, str] = {}  # faults that came about, by call
        self.steps = 0
        self.puts: list[told.Put] = []
        self._away: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._walked: dict[tuple[int, str], int] = {}
        self._struck: set[int] = set()
        self._lives = 0
        self.group = Group(self)
        self._copy: Copy | None = None
        self._stopped = False  # for a restore
        self._changes = ledger.changes
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
            self.timeline.at(action.at, functools.partial(self._act, action))
        for index in range(self.history.workers):
            self._start(index)

    # -- the port `Around` ----------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The time."""
        return self.timeline.now

    def nth(self, what: str) -> int:
        """How often this was asked before."""
        count = self._counts[what] = self._counts.get(what, 0) + 1
        return count

    def luck(self, name: str) -> Random:
        """Chance that belongs to a name in this history."""
        return Random(f"{self.history.seed} {name}")  # noqa: S311 - no secret

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
        fault = luck.choice(WRITE_FAULTS if write else READ_FAULTS)
        self.used[name] = fault
        return fault

    def books_of(self, integration: str) -> Books:
        """The books behind an integration."""
        return self.books[integration]

    def away(self, integration: str) -> str:
        """Whether they are down, or refuse our credentials."""
        return self._away.get(integration, "")

    def is_bad(self, order: Order) -> bool:
        """Whether the books refuse this record for what is in it."""
        return not self.mended and order.entity in self.history.bad

    def later(self, when: float, todo: Callable[[], None]) -> None:
        """Do something at a time, whatever becomes of the worker."""
        self.timeline.at(when, todo, busy=True)

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
        if call.order is None and isinstance(answer, Answer) and answer.body == b"[]":
            _, integration, kind, how, number = call.name.replace("/", " ").split(" ")[:5]
            if how == "by-number":
                self.invariants.absent(integration, f"{kind}/{number}", call.gone_at)

    # -- the port `Watcher` ---------------------------------------------------------------------

    def written(self, integration: str, order: Order, before: Entry | None) -> None:
        """A write takes effect."""
        self.invariants.written(integration, order, before)
        books = self.books[integration]
        carried = self.integrations[integration].data
        if order.customer is not None and not books.has("customer", order.customer):
            self._orphan(integration, order, f"customer/{order.customer}")
        if (
            order.project is not None
            and DataType.PROJECTS in carried
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
        return SimulatedConnector().content(entity, self.integrations[integration]).decode()

    def calm_down(self) -> None:
        """From now on nothing goes wrong: who sleeps wakes, who is away comes back."""
        self.calm = True
        self._away.clear()
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
        if strike.sleeps is not None:
            worker.sleep()
            self.later(self.now + strike.sleeps, lambda: self._wake(worker))
            if strike.sleeps > SESSION_S:
                self.later(self.now + SESSION_S, self.group.rebalance)
            return
        worker.kill()
        del self.workers[worker.index]
        alone = all(one.host is not worker.host for one in self.workers.values())
        if strike.reboot and alone:
            worker.host.reboot()
        self.later(self.now + SESSION_S, self.group.rebalance)
        self.later(self.now + RESTART_S, lambda: self._start(worker.index))

    def _wake(self, worker: Worker) -> None:
        if not worker.dead:
            worker.wake()
            self.later(self.now + 0.5, self.group.rebalance)

    def _start(self, index: int) -> None:
        if index in self.workers or self._stopped:
            return
        self._lives += 1
        host = self.hosts[index % len(self.hosts)]
        self.workers[index] = Worker(self, index, self._lives, host)
        self.group.rebalance()

    def joined(self, worker: Worker) -> None:
        """A worker has given up its lanes."""
        self.group.joined(worker)

    def awake(self) -> list[Worker]:
        """Workers that the group hears."""
        return [one for _, one in sorted(self.workers.items()) if not one.asleep]

    def wrote(self, worker: Worker) -> None:
        """A transaction is on disk."""
        del worker
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

    # -- what the history says ------------------------------------------------------------------

    def _act(self, action: told.Action) -> None:
        self.timeline.stir()
        match action:
            case told.Put():
                self.put(action)
            case told.Ask():
                self.ask(action.kind, action.pick)
            case told.Shift():
                self.group.rebalance()
            case told.Jump(host=host, seconds=seconds):
                self.hosts[host].wall_offset += seconds
            case told.Refuse(integration=name, seconds=seconds):
                self._be_away(name, "refused", seconds)
            case told.Down(integration=name, seconds=seconds):
                self._be_away(name, "down", seconds)
            case told.Remove(integration=name, number=number):
                self.books[name].remove("customer", number)
            case told.Backup(restored_at=at):
                self._copy = self.ledger.copy()
                self.timeline.at(at, self._restore)

    def _be_away(self, integration: str, how: str, seconds: float) -> None:
        self._away[integration] = how
        self.later(self.now + seconds, functools.partial(self._be_back, integration))

    def _be_back(self, integration: str) -> None:
        self._away.pop(integration, None)

    def put(self, put: told.Put) -> None:
        """An event is put on its topic."""
        self.puts.append(put)
        outgoing = record_of(put)
        key = b"wrong/key" if put.wrong_key else outgoing.key
        self.kafka.append(outgoing, key)
        self._announce()

    def ask(self, kind: str, pick: int) -> None:
        """A command is put on its topic."""
        named = self._target(kind, pick)
        if named is None:
            return
        data, key = named
        attributes = Attributes(
            id=f"command {self.nth('command')}", source="/person", type=TYPE_PREFIX + kind
        )
        self.kafka.append(encode_command(attributes, data, key=key), key)
        self._announce()

    def _target(self, kind: str, pick: int) -> tuple[CommandData, bytes] | None:
        if kind in {"resume", "resync"}:
            ids = sorted(self.integrations)
            name = ids[pick % len(ids)]
            since = date(2026, 1, 1) if kind == "resync" and pick % 2 else None
            return CommandData(by="p", integration=name, invoices_from=since), name.encode()
        states = {"dead"} if kind == "replay" else {"dead", "waiting", "blocked", "due", "ready"}
        rows = [
            row[1:]
            for row in self.ledger.rows(
                "SELECT state, delivery_id, company, customer_number FROM deliveries "
                "ORDER BY ordinal"
            )
            if row[0] in states
        ]
        if not rows:
            return None
        delivery, company, customer = rows[pick % len(rows)]
        return CommandData(by="p", deliveries=(delivery,)), lane_key(company, customer)

    def _announce(self) -> None:
        for _, worker in sorted(self.workers.items()):
            worker.gate("", worker.records)

    # -- a ledger that goes back ----------------------------------------------------------------

    def _restore(self) -> None:
        """Stop all, put the copy in place, start all."""
        if self._copy is None or not self._is_ahead():
            return  # nobody could see that it is an old copy
        for worker in self.workers.values():
            worker.kill()
        self.workers.clear()
        self._stopped = True
        self.later(self.now + RESTART_S, self._start_restored)

    def _is_ahead(self) -> bool:
        known = {
            (topic, partition): offset
            for topic, partition, offset in (self._copy or Copy({})).rows.get("source_offsets", ())
        }
        return any(offset > known.get(at, 0) for at, offset in self.kafka.committed.items())

    def _start_restored(self) -> None:
        if self._copy is not None:
            self.ledger.restore(self._copy)
        self.invariants.restored()
        self._stopped = False
        for index in range(self.history.workers):
            self._start(index)
