"""When all has come to rest: nothing is lost, and the books are as the newest events say."""

import msgspec

from streams.core.model import Version
from streams.core.states import IN_DOUBT, State
from streams.simulation import history as told
from streams.simulation.invariants import Violation, newer
from streams.simulation.world import World

_DELIVERIES = (
    "SELECT d.ordinal, d.delivery_id, d.integration, d.entity_type, d.number, d.sequence, d.state, "
    "d.waits_key, d.failure, d.final_id, d.rewrite, i.ce_id FROM deliveries d "
    "JOIN inbox i ON i.event_pk = d.event_pk ORDER BY d.ordinal"
)
_DONE = frozenset({State.APPLIED, State.UNCHANGED, State.MANUAL})
# A booking that a restored ledger has forgotten is found when it is asked for: these have not got
# there, since the customer is gone by now, or a person said that it need not go.
_SAYS_NOTHING = frozenset({State.BLOCKED, State.WAITING, State.DISCARDED})


class Row(msgspec.Struct, frozen=True):
    """One delivery at rest."""

    ordinal: int
    delivery_id: str
    integration: str
    kind: str
    number: str
    sequence: int | None
    state: str
    waits_key: str | None
    failure: bytes | None
    final_id: str | None
    rewrite: int
    event: str

    @property
    def key(self) -> str:
        """Its entity in its integration."""
        return f"{self.integration}\x1f{self.kind}\x1f{self.number}"

    @property
    def version(self) -> Version:
        """Its place in the order of its entity."""
        return Version(self.ordinal, self.sequence)


def at_rest(world: World) -> list[Violation]:
    """What still moves, or is not as it must be in the end. Empty: all is well."""
    rows = [Row(*row) for row in world.ledger.rows(_DELIVERIES)]
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    found = [*_unread(world), *_unpublished(world)]
    for row in rows:
        why = _unsettled(world, row, by_key)
        if why is not None:
            found.append(Violation("at-rest", f"{_name(row)} is {row.state}: {why}"))
    found += _undelivered(world, rows)
    for key, some in by_key.items():
        found += _books(world, key, some)
    claimed = world.ledger.rows("SELECT entity_key FROM entities WHERE claimed_by IS NOT NULL")
    found += [Violation("claimed-at-rest", repr(row[0])) for row in claimed]
    return found


def _name(row: Row) -> str:
    return f"{row.event} {row.integration} {row.kind}/{row.number}"


def _unread(world: World) -> list[Violation]:
    known = {
        (topic, partition): offset
        for topic, partition, offset in world.ledger.rows(
            "SELECT topic, partition, next_offset FROM source_offsets"
        )
    }
    return [
        Violation("taken", f"{place} has {end} records, {known.get(place, 0)} were taken")
        for place, end in world.kafka.ends().items()
        if known.get(place, 0) < end
    ]


def _unpublished(world: World) -> list[Violation]:
    rows = world.ledger.rows("SELECT position FROM outbox WHERE NOT published")
    open_commands = world.ledger.rows("SELECT ce_id FROM commands WHERE state <> 'done'")
    return [Violation("published", f"row {row[0]} of the outbox") for row in rows] + [
        Violation("commands", f"{row[0]} is not done") for row in open_commands
    ]


def _unsettled(world: World, row: Row, by_key: dict[str, list[Row]]) -> str | None:
    """Why a delivery ought to go on; None where it is done, or rightly blocked."""
    state = State(row.state)
    if state in {State.WITHDRAWN, State.DEAD} or not _is_open(state):
        return None if row.final_id is not None else "without a final outcome"
    if state is State.WAITING and _waits_for_blocked(row, by_key[row.key]):
        return None
    if state is not State.BLOCKED:
        return "still open"
    integration, kind, number = (row.waits_key or "\x1f\x1f").split("\x1f")
    if not kind:
        return "blocked by nobody"
    in_books = world.books[integration].has(kind, number)
    parents = by_key.get(row.waits_key or "", [])
    if in_books and not any(_is_open(State(one.state)) for one in parents):
        dead = [one for one in parents if one.state == State.DEAD]
        if kind != "invoice" or not dead:
            return f"{kind}/{number} is in the books"
    moving = [one for one in parents if one.state in {State.READY, State.DUE, *IN_DOUBT}]
    return f"{kind}/{number} is on its way" if moving else None


def _waits_for_blocked(row: Row, siblings: list[Row]) -> bool:
    """An invoice waits for an older event of its number, which waits for somebody else."""
    older = [one for one in siblings if one.ordinal < row.ordinal and _is_open(State(one.state))]
    return row.waits_key == row.key and any(one.state == State.BLOCKED for one in older)


def _is_open(state: State) -> bool:
    return state in {State.READY, State.WAITING, State.BLOCKED, State.DUE, *IN_DOUBT}


def _undelivered(world: World, rows: list[Row]) -> list[Violation]:
    """Every event that was put has its deliveries."""
    have: dict[tuple[str, str], int] = {}
    for row in rows:
        place = (row.event, row.integration)
        have[place] = have.get(place, 0) + (1 if not row.rewrite else 0)
    found = [Violation("delivered-once", f"{place}") for place, many in have.items() if many > 1]
    return found + [
        Violation("delivered", f"{put.id} to {one.id}")
        for put in world.puts
        for one in world.history.setups
        if one.company == put.company
        and f"{put.kind}s" in one.data
        and not world.was_off(one.id, put)
        and (put.id, one.id) not in have
    ]


def _books(world: World, key: str, rows: list[Row]) -> list[Violation]:
    """The books hold the newest state that is said to be in them, once."""
    integration, kind, number = key.split("\x1f")
    entries = world.books[integration].all_of(kind, number)
    done = [row for row in rows if row.state in _DONE]
    if world.was_removed(integration, f"{kind}/{number}"):
        return []
    if not done:
        if world.was_restored and all(_says_nothing(world, row) for row in rows):
            return []
        return _unknown(key, rows, bool(entries), kind)
    newest = done[0]
    for row in done[1:]:
        if newer(row.version, newest.version):
            newest = row
    if len(entries) != 1:
        return [Violation("in-the-books", f"{key!r} is there {len(entries)} times")]
    if newest.state == State.MANUAL or _doubtful(rows):
        return []
    content = world.content_of(newest.event, integration)
    others = {*_left_on_the_way(world, key, rows, newest), *_switched_off_since(world, key)}
    if entries[0].content not in {content, *others}:
        return [
            Violation(
                "newest-in-the-books",
                f"{key!r}: {entries[0].content}, not {content} ({newest.event})",
            )
        ]
    return []


def _says_nothing(world: World, row: Row) -> bool:
    """Whether it never got to where a booking would have been looked for."""
    if State(row.state) in _SAYS_NOTHING:
        return True
    customers = {put.customer for put in world.puts if put.id == row.event}
    gone = any(world.was_removed(row.integration, f"customer/{number}") for number in customers)
    return State(row.state) is State.DEAD and gone


def _left_on_the_way(world: World, key: str, rows: list[Row], newest: Row) -> set[str]:
    """What was sent, may have arrived, and is not sent again: the ledger says that it may be there.

    A person discarded it, or what came later still waits for its parent. A restored ledger does
    not know what had been sent before a person discarded it anew.
    """
    dirty = world.ledger.rows("SELECT 1 FROM entities WHERE entity_key = ? AND dirty", key)
    left = [row for row in rows if row.state == State.DISCARDED and (dirty or world.was_restored)]
    later = [row for row in rows if dirty and newer(row.version, newest.version)]
    if any(State(row.state) in _SAYS_NOTHING for row in later):
        left += later
    return {world.content_of(row.event, row.integration) for row in left}


def _switched_off_since(world: World, key: str) -> set[str]:
    """What was written before the ledger was restored, and is not read again: its data is off."""
    integration, kind, number = key.split("\x1f")
    company = world.set_ups[integration].company
    return {
        world.content_of(put.id, integration)
        for put in world.puts
        if world.was_restored
        and (put.company, put.kind, put.number) == (company, kind, number)
        and world.was_off(integration, put)
    }


def _unknown(key: str, rows: list[Row], there: bool, kind: str) -> list[Violation]:
    """What nobody says is in the books is not booked."""
    if kind != "invoice" or not there or _doubtful(rows):
        return []
    return [Violation("unknown-booking", f"{key!r}: {[row.state for row in rows]}")]


def _doubtful(rows: list[Row]) -> bool:
    """A person was told that nobody knows."""
    return any(row.failure is not None and b'"uncertain"' in row.failure for row in rows)


def mend(world: World) -> None:
    """A person sees to it: what is bad is mended, who is missing comes, the dead are replayed."""
    world.mended = True
    missing = world.ledger.rows(
        "SELECT DISTINCT d.company, d.waits_key FROM deliveries d WHERE d.waits_key IS NOT NULL "
        "AND d.waits_key <> d.entity_key"
    )
    for company, key in missing:
        _, kind, number = key.split("\x1f")
        if kind != "invoice":
            world.outside.put(
                told.Put(
                    at=world.now,
                    id=f"mend {company} {kind}/{number}",
                    kind=kind,
                    company=company,
                    number=number,
                    content=90,
                    customer="" if kind == "customer" else "1",
                )
            )
    for place in range(len(world.ledger.rows("SELECT 1 FROM deliveries WHERE state = 'dead'"))):
        world.outside.ask("replay", place)
