"""Commands on their way: sent through Kafka, and waited for in the ledger's audit.

Ids are made from what is asked and from the newest word that the audit has of each delivery: a
command that was sent but not carried out has the same id when it is sent again, and one that was
has not. So a run that was broken off can be run again, and nothing happens twice.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Self

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.cloudevents import Attributes
from schemas.commands import (
    MAX_DELIVERIES,
    TYPE_PREFIX,
    CommandData,
    CommandKind,
    command_refusal,
    encode_command,
)
from streams.clock import SystemClock
from streams.kafka_client import KafkaConnection
from streams.ledger.queries import Said, command_states, last_said, said_about
from streams.ops.command_base import WAIT_S, CommandEnds, Exit
from streams.ops.ledger_view import LedgerView
from streams.topics import COMMANDS, TopicNames

SOURCE: Final = "/moment-sync/command-line"
LOOK_S: Final = 0.05  # between two looks at what became of commands: a worker takes as long
WAVE: Final = 64  # commands, each of another lane, that are sent before they are waited for


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One command, ready to be sent under its lane's key."""

    id: str
    key: bytes
    kind: CommandKind
    data: CommandData


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """What became of commands.

    `pending`: deliveries whose command nobody has carried out yet, or that was not sent; `why`.
    """

    done: tuple[str, ...] = ()
    refused: tuple[dict[str, Any], ...] = ()
    opened: tuple[str, ...] = ()  # deliveries of letters that were replayed
    pending: tuple[str, ...] = ()
    why: str | None = None


class Post:
    """The way to the commands topic. An async context; ends the command where Kafka is away."""

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        self._connection = connection
        self._topic = names.full(COMMANDS)
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._refuse_missing_topic()
                options = self._connection.client_options()
                producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True)
                self._producer = producer
                await producer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.__aexit__()
            raise self._away(error) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, orders: Sequence[Order]) -> None:
        """Send them; returns when all are acknowledged."""
        assert self._producer is not None  # noqa: S101 - used outside its context: a bug of ours
        now = SystemClock().now()
        waiting = []
        try:
            async with asyncio.timeout(WAIT_S):
                for order in orders:
                    attributes = Attributes(
                        id=order.id,
                        source=SOURCE,
                        type=f"{TYPE_PREFIX}{order.kind.value}",
                        time=now,
                        partition_key=order.key.decode(errors="replace"),
                    )
                    record = encode_command(attributes, order.data, key=order.key)
                    waiting.append(
                        await self._producer.send(
                            self._topic,
                            key=record.key,
                            value=record.value,
                            headers=list(record.headers),
                        )
                    )
                await asyncio.gather(*waiting)
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._away(error) from None

    async def _refuse_missing_topic(self) -> None:
        admin = AIOKafkaAdminClient(**self._connection.client_options())
        await admin.start()
        try:
            if self._topic not in await admin.list_topics():
                raise CommandEnds(
                    Exit.WRONG,
                    f"topic {self._topic} is missing: run `moment-sync topics create`",
                )
        finally:
            await admin.close()

    def _away(self, error: BaseException) -> CommandEnds:
        return CommandEnds(
            Exit.AWAY,
            f"Kafka at {self._connection.bootstrap} went away ({type(error).__name__}); running "
            "the same again does nothing twice",
        )


def plan(
    view: LedgerView,
    kind: CommandKind,
    ids: Sequence[tuple[bytes, str]],
    base: CommandData,
    most: int = MAX_DELIVERIES,
    replays: Mapping[str, int] | None = None,
) -> list[list[Order]]:
    """Commands for deliveries (key, id), in waves: within one, each is of another lane.

    `base` holds all but the deliveries; `replays`: how often each was replayed, so that none is
    replayed for the same reason twice. The order of a lane's deliveries is kept.
    """
    newest = view.ask(lambda connection: last_said(connection, [name for _, name in ids]))
    lanes: dict[bytes, list[str]] = {}
    for key, name in ids:
        lanes.setdefault(key, []).append(name)
    turns: list[list[Order]] = []
    for key, names in lanes.items():
        for turn, first in enumerate(range(0, len(names), most)):
            part = tuple(names[first : first + most])
            known = tuple(replays[name] for name in part) if replays else ()
            data = msgspec.structs.replace(base, deliveries=part, replays=known)
            order = Order(id=order_id(kind, data, newest), key=key, kind=kind, data=data)
            if turn == len(turns):
                turns.append([])
            turns[turn].append(order)
    return [turn[i : i + WAVE] for turn in turns for i in range(0, len(turn), WAVE)]


def order_id(kind: CommandKind, data: CommandData, newest: Mapping[str, int]) -> str:
    """The same for the same question about deliveries of which nothing new was said."""
    asked = {
        "kind": kind.value,
        "deliveries": [[name, newest.get(name, 0)] for name in data.deliveries],
        "edit": data.edit,
        "force": data.force,
        "replays": data.replays,
    }
    text = msgspec.json.encode(asked, order="deterministic")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def refuse_bad(kind: CommandKind, data: CommandData) -> None:
    """End the command (2) where a worker would refuse it unread."""
    refusal = command_refusal(kind, data)
    if refusal is not None:
        raise CommandEnds(Exit.WRONG, f"{refusal.field}: {refusal.parameters.get('reason', '')}")


async def results(view: LedgerView, orders: Sequence[Order]) -> Came:
    """Wait until all were carried out, or nothing of them has moved for 30 seconds."""
    left = await until_done(view, [order.id for order in orders])
    said: list[Said] = []
    for order in orders:
        if order.id not in left:
            said += await asyncio.to_thread(_said, view, order)
    pending = (name for order in orders if order.id in left for name in order.data.deliveries)
    return msgspec.structs.replace(word_of(said), pending=tuple(pending))


def word_of(said: Iterable[Said]) -> Came:
    """What the audit's words about commands come to."""
    done: list[str] = []
    opened: list[str] = []
    refused: list[dict[str, Any]] = []
    for one in said:
        if one.what in {"refused", "failed"}:
            refused.append({"deliveryId": one.delivery_id, **_refusal(one.detail)})
        else:
            done.append(one.delivery_id or "")
            opened += one.detail.get("opened", ())
    return Came(done=tuple(done), refused=tuple(refused), opened=tuple(opened))


def _said(view: LedgerView, order: Order) -> Any:
    return view.ask(lambda connection: said_about(connection, order.data.deliveries, order.id))


def _refusal(detail: Mapping[str, Any]) -> dict[str, Any]:
    refusal = detail.get("refusal")
    if isinstance(refusal, dict):
        return refusal
    return {"reason": "failed", "text": f"a defect: {detail.get('error', 'unknown')}"}


async def until_done(
    view: LedgerView,
    ids: Iterable[str],
    moved: Callable[[], object] = lambda: None,
) -> set[str]:
    """Wait for commands; returns those that are not done when nothing has moved for 30 seconds.

    `moved` returns something that changes while work goes on.
    """
    loop = asyncio.get_running_loop()
    left = set(ids)
    seen: object = None
    deadline = loop.time() + WAIT_S
    while left:
        asked = sorted(left)
        states = await asyncio.to_thread(
            view.ask, lambda connection, asked=asked: command_states(connection, SOURCE, asked)
        )
        left -= {name for name, state in states.items() if state != "open"}
        sign = (len(left), await asyncio.to_thread(moved))
        if sign != seen:
            seen, deadline = sign, loop.time() + WAIT_S
        if not left or loop.time() >= deadline:
            return left
        await asyncio.sleep(LOOK_S)
    return left
