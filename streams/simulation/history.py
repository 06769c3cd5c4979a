"""A history: what the world does to the workers, as a value that can be kept, cut and run again.

Drawn from a seed alone. Latencies and faults are not listed but drawn when they are needed, each
from the seed and its own name, so that a history that is cut keeps those that are left.
"""

from random import Random

import msgspec

COMPANIES = ("c-1", "c-2")
SB1, DK = "sparebank1", "dkplus"
# Of a wall clock, in seconds. Hosts that share a ledger keep within the ten seconds for which a
# "no" of an accounting system counts (`FRESH_NO_S`); one alone may be anywhere.
JUMPS = (-90_000.0, -30.0, -5.0, 5.0, 3_600.0, 90_000.0, 4e6)
SKEWS = (-5.0, 5.0)
# Kinds of steps, and how many of them a history has in its busiest part.
STEPS = (("", 160), ("commit", 50), ("leave", 20), ("answer", 20))
PLANNED_S = 40.0  # seconds in which events come; then the world is left in peace


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """One integration. `known`: its books are known from before. `present`: customers in them."""

    id: str
    company: str
    system: str
    data: tuple[str, ...] = ("customers", "projects", "invoices")
    known: bool = True
    present: tuple[str, ...] = ()


class Put(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An event is put on its topic. `content` counts the states of the entity."""

    at: float
    id: str
    kind: str
    company: str
    number: str
    content: int = 1
    customer: str = ""
    project: str | None = None
    credits: str | None = None
    sequence: int | None = None
    wrong_key: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A command; `pick` chooses among the deliveries or integrations that it could be about."""

    at: float
    kind: str
    pick: int


class Shift(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The group is rebalanced."""

    at: float


class Jump(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The wall clock of a host jumps."""

    at: float
    host: int
    seconds: float


class Refuse(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An accounting system refuses our credentials for a while."""

    at: float
    integration: str
    seconds: float


class Down(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An accounting system is away for a while."""

    at: float
    integration: str
    seconds: float


class Remove(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person removes a customer from the books."""

    at: float
    integration: str
    number: str


class Backup(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The ledger is copied, and later, all workers being stopped, the copy takes its place."""

    at: float
    restored_at: float


Action = Put | Ask | Shift | Jump | Refuse | Down | Remove | Backup


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to a worker right before one of its steps: it ends, or sleeps for a while.

    `step` counts the steps of this kind that the worker has come to, in all its lives; with no
    kind it counts them all.
    """

    worker: int
    step: int
    kind: str = ""
    sleeps: float | None = None
    reboot: bool = False


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A whole one. `faults`: by call; None: drawn at `fault_rate`. `bad`: entities refused."""

    seed: int
    workers: int
    hosts: int
    setups: tuple[Setup, ...]
    actions: tuple[Action, ...]
    strikes: tuple[Strike, ...] = ()
    fault_rate: float = 0.0
    faults: dict[str, str] | None = None
    bad: frozenset[str] = frozenset()
    mend: bool = False  # in the end what is bad is mended, the dead are replayed, the absent come


def draw(seed: int) -> History:
    """The history of a seed."""
    return _Drawing(Random(f"history {seed}"), seed).whole()  # noqa: S311 - no secret


class _Drawing:
    def __init__(self, random: Random, seed: int) -> None:
        self.random = random
        self.seed = seed
        self.ids = 0
        self.setups = self._setups()
        self.puts: list[Put] = []
        self.states: dict[tuple[str, str, str], int] = {}

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return self.random.random() < share

    def when(self) -> float:
        """A time while events come."""
        return round(1 + self.random.random() * 30, 3)

    def whole(self) -> History:
        random = self.random
        workers = random.choice((1, 1, 2, 2, 2, 3))
        hosts = random.choice((1, 1, workers))
        for company in sorted({one.company for one in self.setups}):
            self._events(company, random.randint(3, 12))
        actions: list[Action] = [*self.puts, *self._repeats(), *self._troubles(hosts)]
        rate = random.choice((0.0, 0.1, 0.1, 0.25, 0.4))
        return History(
            seed=self.seed,
            workers=workers,
            hosts=hosts,
            setups=self.setups,
            actions=tuple(sorted(actions, key=lambda action: action.at)),
            strikes=self._strikes(workers),
            fault_rate=rate,
            bad=self._bad(),
            mend=self.chance(0.4),
        )

    def _setups(self) -> tuple[Setup, ...]:
        random = self.random
        companies = COMPANIES[: random.choice((1, 1, 1, 2))]
        found = []
        for company in companies:
            for system in random.choice(((SB1,), (DK,), (SB1,), (SB1, DK))):
                data: tuple[str, ...] = ("customers", "projects", "invoices")
                if self.chance(0.1):
                    data = random.choice((("invoices",), ("customers", "invoices")))
                found.append(
                    Setup(
                        id=f"{company}-{system}",
                        company=company,
                        system=system,
                        data=data,
                        known=self.chance(0.85),
                        present=("3",) if self.chance(0.5) else (),
                    )
                )
        return tuple(found)

    def _events(self, company: str, many: int) -> None:
        random = self.random
        kinds = random.choices(("customer", "project", "invoice"), weights=(3, 2, 4), k=many)
        numbered = self.chance(0.4)  # the producer gives sequence numbers
        for kind in kinds:
            number = {
                "customer": str(random.randint(1, 3)),
                "project": str(random.randint(11, 12)),
                "invoice": str(random.randint(101, 104)),
            }[kind]
            key = (company, kind, number)
            content = self.states[key] = self.states.get(key, 0) + 1
            if kind != "customer" and self.chance(0.3):
                content = max(1, content - 1)  # the same content once more
            sequence = self.states[key] if numbered and kind != "invoice" else None
            self.ids += 1
            self.puts.append(
                Put(
                    at=self._time(),
                    id=f"e{self.ids}",
                    kind=kind,
                    company=company,
                    number=number,
                    content=content,
                    customer=self._customer(kind, number),
                    project=self._project(kind, number),
                    credits=self._credits(kind, number),
                    sequence=sequence,
                    wrong_key=self.chance(0.08),
                )
            )

    def _time(self) -> float:
        """In bursts, so that much is open at once."""
        return round(self.random.choice((1.0, 1.0, 8.0, 20.0)) + self.random.random() * 3, 3)

    def _customer(self, kind: str, number: str) -> str:
        if kind == "customer":
            return ""
        # Mostly by its own number, so that invoices of one number are about one customer.
        if kind == "project" and self.chance(0.2):
            return str(self.random.randint(1, 3))
        return str(1 + int(number) % 3)

    def _project(self, kind: str, number: str) -> str | None:
        if kind != "invoice" or int(number) % 2:
            return None
        return str(11 + int(number) // 2 % 2)

    def _credits(self, kind: str, number: str) -> str | None:
        return "101" if kind == "invoice" and number == "104" else None

    def _repeats(self) -> list[Put]:
        """The same event again, and an id that comes again with something else in it."""
        random = self.random
        found = []
        for put in self.puts:
            if self.chance(0.15):
                later = round(put.at + random.random() * 15, 3)
                other = 50 if self.chance(0.2) else put.content
                found.append(msgspec.structs.replace(put, at=later, content=other))
        return found

    def _troubles(self, hosts: int) -> list[Action]:
        random = self.random
        ids = [one.id for one in self.setups]
        found: list[Action] = [Shift(at=self.when()) for _ in range(random.choice((0, 0, 1, 2)))]
        for _ in range(random.choice((0, 0, 1, 2, 3))):
            kind = random.choices(("replay", "discard", "resume", "resync"), weights=(5, 2, 2, 1))[
                0
            ]
            found.append(Ask(at=self.when(), kind=kind, pick=random.randrange(1000)))
        if self.chance(0.15):
            jump = random.choice(JUMPS if hosts == 1 else SKEWS)
            found.append(Jump(at=self.when(), host=random.randrange(hosts), seconds=jump))
        if self.chance(0.2):
            away = random.choice((Refuse, Down))
            seconds = round(random.random() * 30, 3)
            found.append(away(at=self.when(), integration=random.choice(ids), seconds=seconds))
        if self.chance(0.08):
            number = str(random.randint(1, 3))
            found.append(Remove(at=self.when(), integration=random.choice(ids), number=number))
        if self.chance(0.12):
            at = self.when()
            found.append(Backup(at=at, restored_at=round(at + 1 + random.random() * 12, 3)))
        return found

    def _strikes(self, workers: int) -> tuple[Strike, ...]:
        random = self.random
        found = []
        for _ in range(random.choice((0, 0, 1, 1, 2, 3))):
            sleeps = None
            if self.chance(0.5):
                sleeps = round(random.choice((2.0, 12.0, 40.0)) * (0.5 + random.random()), 3)
            kind, most = random.choice(STEPS)
            found.append(
                Strike(
                    worker=random.randrange(workers),
                    step=random.randint(1, most),
                    kind=kind,
                    sleeps=sleeps,
                    reboot=self.chance(0.2),
                )
            )
        return tuple(found)

    def _bad(self) -> frozenset[str]:
        keys = sorted({f"{kind}/{number}" for _, kind, number in self.states})
        return frozenset(key for key in keys if self.chance(0.12))


def dump(history: History) -> bytes:
    """As JSON, for a file."""
    return msgspec.json.format(msgspec.json.encode(history, order="deterministic"), indent=1)


def load(text: bytes) -> History:
    """Read a history back. Raises `msgspec.DecodeError` where the text is none."""
    return msgspec.json.decode(text, type=History)
