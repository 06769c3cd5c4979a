"""The simulated world of one history: time, Kafka, the books, the workers, and all that happens."""

import functools
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from random import Random

from connectors.integrations import DataType, Integration, System
from connectors.port import Answer
from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.commands import TYPE_PREFIX, CommandData, encode_command
from schemas.events import (
    Account,
    Customer,
    CustomerStatus,
    Entity,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
    Project,
    ProjectState,
)
from schemas.lane import lane_key, partition_of
from streams.ledger.memory import Copy, MemoryLedger
from streams.ports import OutboxRow
from streams.settings import Settings, load
from streams.simulation import history as told
from streams.simulation.books import Books, Entry, Order
from streams.simulation.connector import SimulatedConnector
from streams.simulation.history import History
from streams.simulation.invariants import Invariants
from streams.simulation.kafka import PARTITIONS, Kafka
from streams.simulation.loop import Timeline
from streams.simulation.wire import READ_FAULTS, WRITE_FAULTS, Call
from streams.simulation.worker import Host, Worker

SESSION_S = 6.0  # after which the group takes a silent worker's lanes away
RESTART_S = 3.0
HEARTBEAT_S = 0.5  # between the first and the last to hear of a rebalance, at most
JOIN_S = 15.0  # how long the group waits for those who have lanes to give up
TYPES = {
    "customer": "team.moment.customer.updated",
    "project": "team.moment.project.updated",
    "invoice": "team.moment.invoice.finalized",
}

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
            one.id: _integration(one) for one in history.setups
        }
        self.books = {
            one.id: Books(one.id, one.system, self) for one in history.setups
        }
        self.hosts = [Host(self.timeline, number) for number in range(history.hosts)]
        self.workers: dict[int, Worker] = {}
        self.calm = False  # nothing goes wrong any more
        self.mended = False
        self.used: dict[str, str] = {}  # faults that came about, by call
        self.steps = 0
        self.puts: list[told.Put] = []
        self._away: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._walked = [0] * history.workers
        self._struck: set[int] = set()
        self._lives = 0
        self._round = 0  # of the group
        self._shared = 0  # the last round that ended
        self._joined: set[int] = set()
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
        return Random(f"{self.history.seed} {name}")

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
        self.invariants.answered(call, self.now)
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

    def strikes(self, worker: Worker) -> bool:
        """Whether something happens to a worker right before this step of it."""
        self.steps += 1
        index = worker.index
        self._walked[index] += 1
        if self.calm:
            return False
        for place, strike in enumerate(self.history.strikes):
            due = strike.worker == index and strike.step <= self._walked[index]
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
                self.later(self.now + SESSION_S, self._rebalance)
            return
        worker.kill()
        del self.workers[worker.index]
        alone = all(one.host is not worker.host for one in self.workers.values())
        if strike.reboot and alone:
            worker.host.reboot()
        self.later(self.now + SESSION_S, self._rebalance)
        self.later(self.now + RESTART_S, lambda: self._start(worker.index))

    def _wake(self, worker: Worker) -> None:
        if not worker.dead:
            worker.wake()
            self.later(self.now + 0.5, self._rebalance)

    def _start(self, index: int) -> None:
        if index in self.workers or self._stopped:
            return
        self._lives += 1
        host = self.hosts[index % len(self.hosts)]
        self.workers[index] = Worker(self, index, self._lives, host)
        self._rebalance()

    def _rebalance(self) -> None:
        """All whom the group hears give up their lanes; then these are shared out anew."""
        self._round += 1
        self._joined.clear()
        members = self._members()
        luck = self.luck(f"round {self._round}")
        for worker in members:
            self.later(
                self.now + luck.random() * HEARTBEAT_S,
                functools.partial(self._ask_to_join, worker, self._round),
            )
        number = self._round
        self.later(self.now + JOIN_S, lambda: self._share_out(number))

    def _members(self) -> list[Worker]:
        return [one for _, one in sorted(self.workers.items()) if not one.asleep]

    def _ask_to_join(self, worker: Worker, number: int) -> None:
        if number == self._round:
            worker.gate("", worker.rejoin)

    def joined(self, worker: Worker) -> None:
        """A worker has given up its lanes. Who comes late begins another round."""
        if self._round == self._shared:
            self.later(self.now, self._rebalance)
            return
        self._joined.add(worker.index)
        if all(one.index in self._joined for one in self._members()):
            number = self._round
            self.later(self.now, lambda: self._share_out(number))

    def _share_out(self, number: int) -> None:
        members = [one for one in self._members() if one.index in self._joined]
        if number != self._round or number == self._shared or not members:
            return
        self._shared = number
        self.kafka.generation += 1
        luck = self.luck(f"group {number}")
        luck.shuffle(members)
        for place, worker in enumerate(members):
            lanes = frozenset(range(place, PARTITIONS, len(members)))
            self.later(
                self.now + luck.random() * HEARTBEAT_S,
                functools.partial(self._assign, worker, self.kafka.generation, lanes),
            )

    def _assign(self, worker: Worker, generation: int, lanes: frozenset[int]) -> None:
        if generation == self.kafka.generation:
            worker.gate("", lambda: worker.assign(generation, lanes))

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
                self._rebalance()
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
        self.later(self.now + seconds, lambda: self._away.pop(integration, None) and None)

    def put(self, put: told.Put) -> None:
        """An event is put on its topic."""
        self.puts.append(put)
        entity = event_of(put)
        attributes = Attributes(
            id=put.id, source="/moment/simulation", type=TYPES[put.kind], sequence=put.sequence
        )
        outgoing = encode_event(attributes, entity)
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
        states = "('dead')" if kind == "replay" else "('dead','waiting','blocked','due','ready')"
        rows = self.ledger.rows(
            "SELECT delivery_id, company, customer_number FROM deliveries "
            f"WHERE state IN {states} ORDER BY ordinal"  # noqa: S608 - words of our own
        )
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


def _integration(setup: told.Setup) -> Integration:
    return Integration(
        id=setup.id,
        company=setup.company,
        system=System(setup.system),
        base_url=f"https://{setup.id}",
        data=frozenset(DataType(name) for name in setup.data),
        notify="-",
    )


def event_of(put: told.Put) -> Entity:
    """The entity that an event carries."""
    content = f"state {put.content}"
    if put.kind == "customer":
        return Customer(
            company=put.company, number=put.number, name=content, status=CustomerStatus.ACTIVE
        )
    if put.kind == "project":
        return Project(
            company=put.company,
            number=put.number,
            name=content,
            customer_number=put.customer,
            state=ProjectState.IN_PROGRESS,
        )
    sign = -1 if put.credits else 1
    line = InvoiceLine(
        product_type=ProductType.PRODUCTS if put.number == "102" else ProductType.HOURS,
        quantity=Decimal(sign),
        unit_price=Decimal(100),
        total_excl_vat=Decimal(100 * sign),
        account=Account(number="3000"),
        product_number="p1" if put.number == "102" else None,
    )
    return Invoice(
        company=put.company,
        number=put.number,
        kind=InvoiceKind.CREDIT_NOTE if put.credits else InvoiceKind.INVOICE,
        customer_number=put.customer,
        project_number=put.project,
        credited_invoice_number=put.credits,
        description=content,
        invoice_date=date(2026, 11, 2),
        currency_code="NOK",
        lines=(line,),
    )
