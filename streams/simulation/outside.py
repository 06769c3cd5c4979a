"""What comes from outside: events, commands, trouble with the books and with the ledger."""

import functools
from collections.abc import Callable, Mapping
from datetime import date
from typing import Protocol

import msgspec

from connectors.integrations import DataType, Integration
from schemas.cloudevents import Attributes
from schemas.commands import TYPE_PREFIX, CommandData, encode_command
from schemas.lane import lane_key
from streams.ledger.memory import Copy, MemoryLedger
from streams.simulation import history as told
from streams.simulation.books import Books
from streams.simulation.events import record_of
from streams.simulation.group import Group
from streams.simulation.invariants import Invariants
from streams.simulation.kafka import Kafka
from streams.simulation.loop import Timeline
from streams.simulation.luck import Luck
from streams.simulation.worker import Host, Worker

RESTART_S = 3.0
RELOAD_S = 1.0  # between the first and the last worker to read a changed file, at most

_NOTED: dict[type[told.Action], str] = {
    told.Jump: "wall clocks that jump",
    told.Refuse: "credentials refused for a while",
    told.Down: "accounting systems away for a while",
    told.Remove: "customers removed by hand",
    told.Switch: "data types switched off or on",
}


class Around(Protocol):
    """The world, as far as what comes from outside touches it."""

    timeline: Timeline
    ledger: MemoryLedger
    kafka: Kafka
    group: Group
    invariants: Invariants
    books: dict[str, Books]
    hosts: list[Host]
    workers: dict[int, Worker]
    set_ups: dict[str, Integration]
    integrations: Mapping[str, Integration]
    puts: list[told.Put]
    stopped: bool
    was_restored: bool

    @property
    def now(self) -> float:
        """The time."""

    def nth(self, what: str) -> int:
        """How often this was asked before."""

    def luck(self, name: str) -> Luck:
        """Chance that belongs to a name in this history."""

    def note(self, what: str) -> None:
        """Count something that happened."""

    def later(self, when: float, todo: Callable[[], None]) -> None:
        """Do something at a time."""

    def sometime(self, when: float, todo: Callable[[], None]) -> None:
        """As `later`, of trouble."""

    def start_all(self) -> None:
        """Start every worker."""


class Outside:
    """Producers, operators and misfortune of one world."""

    def __init__(self, world: Around) -> None:
        self.world = world
        self.away: dict[str, str] = {}  # by integration: down, or refused
        self._copy: Copy | None = None

    def act(self, action: told.Action) -> None:
        """Let something come about."""
        self.world.timeline.stir()
        if (name := _NOTED.get(type(action))) is not None:
            self.world.note(name)
        match action:
            case told.Put():
                self.put(action)
            case told.Ask():
                self.ask(action.kind, action.pick)
            case told.Shift():
                self.world.group.rebalance()
            case told.Jump(host=host, seconds=seconds):
                self.world.hosts[host].wall_offset += seconds
            case told.Refuse() | told.Down():
                self._be_away(action)
            case told.Remove(integration=name, number=number):
                self.world.books[name].remove("customer", number)
            case told.Switch():
                self._switch(action)
            case told.Backup(restored_at=at):
                self._copy = self.world.ledger.copy()
                self.world.sometime(at, self._restore)

    def _switch(self, switch: told.Switch) -> None:
        was = self.world.set_ups[switch.integration]
        data = frozenset(DataType(each) for each in switch.data)
        now = msgspec.structs.replace(was, data=data) if data else None
        self.set_up(switch.integration, now)

    def set_up(self, name: str, integration: Integration | None) -> None:
        """Another file of integrations; each worker reads it in its own time."""
        kept = {key: one for key, one in self.world.integrations.items() if key != name}
        self.world.integrations = kept if integration is None else {**kept, name: integration}
        luck = self.world.luck(f"file {self.world.nth('file')}")
        for worker in self.world.workers.values():
            self.world.later(
                self.world.now + luck.random() * RELOAD_S,
                functools.partial(worker.gate, "", worker.set_up),
            )

    def _be_away(self, trouble: told.Refuse | told.Down) -> None:
        name = trouble.integration
        self.away[name] = "refused" if isinstance(trouble, told.Refuse) else "down"
        self.world.sometime(
            self.world.now + trouble.seconds, functools.partial(self._be_back, name)
        )

    def _be_back(self, integration: str) -> None:
        self.away.pop(integration, None)

    def put(self, put: told.Put) -> None:
        """An event is put on its topic."""
        self.world.note(
            "events again" if any(one.id == put.id for one in self.world.puts) else "events"
        )
        self.world.puts.append(put)
        outgoing = record_of(put)
        key = b"wrong/key" if put.wrong_key else outgoing.key
        self.world.kafka.append(outgoing, key)
        self._announce()

    def ask(self, kind: str, pick: int) -> None:
        """A command is put on its topic."""
        named = self._target(kind, pick)
        if named is None:
            return
        data, key = named
        self.world.note(f"commands: {kind}")
        attributes = Attributes(
            id=f"command {self.world.nth('command')}", source="/person", type=TYPE_PREFIX + kind
        )
        self.world.kafka.append(encode_command(attributes, data, key=key), key)
        self._announce()

    def _target(self, kind: str, pick: int) -> tuple[CommandData, bytes] | None:
        if kind in {"resume", "resync"}:
            ids = sorted(self.world.set_ups)
            name = ids[pick % len(ids)]
            since = date(2026, 1, 1) if kind == "resync" and pick % 2 else None
            return CommandData(by="p", integration=name, invoices_from=since), name.encode()
        states = {"dead"} if kind == "replay" else {"dead", "waiting", "blocked", "due", "ready"}
        rows = [
            row[1:]
            for row in self.world.ledger.rows(
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
        for _, worker in sorted(self.world.workers.items()):
            worker.gate("", worker.records)

    # -- a ledger that goes back ----------------------------------------------------------------

    def _restore(self) -> None:
        """Stop all, put the copy in place, start all."""
        if self._copy is None or not self._is_ahead():
            return  # nobody could see that it is an old copy
        for worker in self.world.workers.values():
            worker.kill()
        self.world.workers.clear()
        self.world.stopped = True
        self.world.sometime(self.world.now + RESTART_S, self._start_restored)

    def _is_ahead(self) -> bool:
        known = {
            (topic, partition): offset
            for topic, partition, offset in (self._copy or Copy({})).rows.get("source_offsets", ())
        }
        return any(offset > known.get(at, 0) for at, offset in self.world.kafka.committed.items())

    def _start_restored(self) -> None:
        if self._copy is not None:
            self.world.ledger.restore(self._copy)
            self.world.was_restored = True
            self.world.note("ledgers restored from a copy")
        self.world.invariants.restored()
        self.world.stopped = False
        self.world.start_all()
