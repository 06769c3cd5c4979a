"""The figures of the overview, counted once for all who look. Here: what they are; pure."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from connectors.integrations import Integration, System
from streams.console.chart import DAY_HOURS, HOUR_S
from streams.console.outcome_hours import Counts
from streams.core.states import State
from streams.ledger.console_queries import DeadCause, LetterCount, OpenWork
from streams.ledger.holds import HoldRow
from streams.settings import Settings

# In the order in which a person asks for them.
SHOWN_STATES = (State.READY, State.WAITING, State.BLOCKED, State.DUE, State.UNCERTAIN)


class Load(msgspec.Struct, frozen=True):
    """Calls in flight now, and how many there may be."""

    in_flight: int
    bound: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One integration. Times are seconds since 1970."""

    id: str
    company: str | None
    system: str | None
    set_up: bool
    applied_today: int
    states: dict[State, int]
    dead: int
    dead_by_code: tuple[tuple[str, int], ...]
    oldest_at: float | None
    hold: HoldRow | None
    load: Load

    def count(self, state: State) -> int:
        """How many deliveries are in a state."""
        return self.states.get(state, 0)


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger said in one look."""

    open_work: tuple[OpenWork, ...] = ()
    causes: tuple[DeadCause, ...] = ()
    dead: Mapping[tuple[str, str], int] = {}
    letters: tuple[LetterCount, ...] = ()
    holds: Mapping[str, HoldRow] = {}
    whose: Mapping[str, tuple[str, str]] = {}
    commands: int = 0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All of it at one moment. `lag` None: Kafka has not said."""

    at: float
    standings: tuple[Standing, ...]
    causes: tuple[DeadCause, ...]
    letters: tuple[LetterCount, ...]
    hours: Mapping[str, Counts]
    hours_since: float | None
    last_outcome_at: float | None
    commands: int
    lag: int | None = None
    kafka_away_since: float | None = None

    def of(self, companies: Collection[str] | None) -> "Figures":
        """What may be seen by somebody who sees only these companies; None: all."""
        if companies is None:
            return self
        standings = tuple(one for one in self.standings if one.company in companies)
        ids = {one.id for one in standings}
        return msgspec.structs.replace(
            self,
            standings=standings,
            causes=tuple(one for one in self.causes if one.company in companies),
            letters=tuple(one for one in self.letters if one.company in companies),
            hours={name: counts for name, counts in self.hours.items() if name in ids},
            commands=0,
            lag=None,
            kafka_away_since=None,
        )

    def hour_counts(self, integration: str | None = None) -> Counts:
        """Outcomes by hour and series, of one integration or of all."""
        of = self.hours.items()
        found: Counts = {}
        for counts in (counts for name, counts in of if integration in (None, name)):
            for hour, series in counts.items():
                place = found.setdefault(hour, {})
                for name, many in series.items():
                    place[name] = place.get(name, 0) + many
        return found

    @property
    def dead(self) -> int:
        """All that is dead."""
        return sum(one.dead for one in self.standings) + sum(one.count for one in self.letters)


def standings_of(
    counted: Counted,
    set_up: Mapping[str, Integration],
    hours: Mapping[str, Counts],
    now: float,
    load_of: Mapping[str, Load],
) -> tuple[Standing, ...]:
    """Every integration that is set up or has something in the ledger."""
    states: dict[str, dict[State, int]] = {}
    oldest: dict[str, float] = {}
    for work in counted.open_work:
        states.setdefault(work.integration, {})[work.state] = work.count
        known = oldest.get(work.integration, work.oldest_at)
        oldest[work.integration] = min(known, work.oldest_at)
    codes: dict[str, list[tuple[str, int]]] = {}
    for (integration, code), many in counted.dead.items():
        codes.setdefault(integration, []).append((code, many))
    held = {name for name, row in counted.holds.items() if row.failure is not None}
    names = sorted({*set_up, *states, *codes, *held})
    found = []
    for name in names:
        one = set_up.get(name)
        company, system = counted.whose.get(name, (None, None))
        found.append(
            Standing(
                id=name,
                company=one.company if one is not None else company,
                system=one.system.value if one is not None else system,
                set_up=one is not None,
                applied_today=_today(hours.get(name, {}), now),
                states=states.get(name, {}),
                dead=sum(many for _, many in codes.get(name, ())),
                dead_by_code=tuple(sorted(codes.get(name, ()), key=lambda c: (-c[1], c[0]))),
                oldest_at=oldest.get(name),
                hold=counted.holds.get(name),
                load=load_of.get(name, Load(0, 0)),
            )
        )
    return tuple(found)


def loads(
    open_work: Iterable[OpenWork],
    set_up: Mapping[str, Integration],
    settings: Settings,
    bounds: Mapping[str, int],
) -> dict[str, Load]:
    """Calls in flight by the ledger; their bound as a worker here has it, else its ceiling."""
    sending = {w.integration: w.count for w in open_work if w.state is State.SENDING}
    ceiling = {
        System.SPAREBANK1: settings.sparebank1_in_flight,
        System.DKPLUS: settings.dkplus_in_flight,
    }
    return {
        name: Load(sending.get(name, 0), bounds.get(name, ceiling[one.system]))
        for name, one in set_up.items()
    }


def _today(counts: Counts, now: float) -> int:
    """Since midnight, UTC."""
    midnight = int(now) // (HOUR_S * DAY_HOURS) * (HOUR_S * DAY_HOURS)
    return sum(of.get("done", 0) for hour, of in counts.items() if hour >= midnight)
