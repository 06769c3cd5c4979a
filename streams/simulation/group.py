"""A simulated consumer group: who gives up which lanes, and who has them next."""

import functools
from collections.abc import Callable
from typing import Protocol

from streams.simulation.kafka import PARTITIONS, Kafka
from streams.simulation.luck import Luck
from streams.simulation.worker import Worker

HEARTBEAT_S = 0.5  # between the first and the last to hear of a rebalance, at most
JOIN_S = 15.0  # how long the group waits for those who have lanes to give up


class Members(Protocol):
    """The world, as far as a group needs it."""

    kafka: Kafka

    @property
    def now(self) -> float:
        """The time."""

    def luck(self, name: str) -> Luck:
        """Chance that belongs to a name."""

    def later(self, when: float, todo: Callable[[], None]) -> None:
        """Do something at a time."""

    def note(self, what: str) -> None:
        """Count something that happened."""

    def awake(self) -> list[Worker]:
        """Workers that the group hears."""


class Group:
    """Eager rounds, as Faust has them: all give up their lanes, then they are shared out."""

    def __init__(self, world: Members) -> None:
        self._world = world
        self._round = 0
        self._shared = 0  # the last round that ended
        self._joined: set[int] = set()

    def rebalance(self) -> None:
        """All whom the group hears give up their lanes; then these are shared out anew."""
        world = self._world
        self._round += 1
        self._joined.clear()
        members = world.awake()
        world.note("rebalances")
        if any(worker.http.writing for worker in members):
            world.note("rebalances with a write in flight")
        luck = world.luck(f"round {self._round}")
        for worker in members:
            world.later(
                world.now + luck.random() * HEARTBEAT_S,
                functools.partial(self._ask_to_join, worker, self._round),
            )
        number = self._round
        world.later(world.now + JOIN_S, lambda: self._share_out(number))

    def _ask_to_join(self, worker: Worker, number: int) -> None:
        if number == self._round:
            worker.gate("", worker.rejoin)

    def joined(self, worker: Worker) -> None:
        """A worker has given up its lanes. Who comes late begins another round."""
        world = self._world
        if self._round == self._shared:
            world.later(world.now, self.rebalance)
            return
        self._joined.add(worker.index)
        if all(one.index in self._joined for one in world.awake()):
            number = self._round
            world.later(world.now, lambda: self._share_out(number))

    def _share_out(self, number: int) -> None:
        world = self._world
        members = [one for one in world.awake() if one.index in self._joined]
        if number != self._round or number == self._shared or not members:
            return
        self._shared = number
        world.kafka.generation += 1
        luck = world.luck(f"group {number}")
        luck.shuffle(members)
        for place, worker in enumerate(members):
            lanes = frozenset(range(place, PARTITIONS, len(members)))
            world.later(
                world.now + luck.random() * HEARTBEAT_S,
                functools.partial(self._assign, worker, world.kafka.generation, lanes),
            )

    def _assign(self, worker: Worker, generation: int, lanes: frozenset[int]) -> None:
        world = self._world
        if generation == world.kafka.generation:
            worker.gate("", lambda: worker.assign(generation, lanes))
