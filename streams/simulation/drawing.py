"""Drawing a history from a seed: how large it is, what goes wrong in it, and what comes when.

Most are small: a few events about one customer, one or two workers, and one to four kinds of
trouble, each of which is then sure to come. A bug that needs many events needs them in few
histories; most need few. Sizes and kinds of trouble are drawn apart, so that each kind meets
quiet surroundings as well as all the others.
"""

from typing import Final

import msgspec

from streams.simulation.history import (
    Action,
    Ask,
    Backup,
    Down,
    History,
    Jump,
    Put,
    Refuse,
    Remove,
    Setup,
    Shift,
    Strike,
    Switch,
)
from streams.simulation.luck import Luck
from streams.simulation.wire import WRITE_FAULTS

COMPANIES: Final = ("c-1", "c-2")
SB1, DK = "sparebank1", "dkplus"
ALL_DATA: Final = ("customers", "projects", "invoices")
# Of a wall clock, in seconds. Hosts that share a ledger keep within the ten seconds for which a
# "no" of an accounting system counts (`FRESH_NO_S`); one alone may be anywhere.
JUMPS: Final = (-90_000.0, -30.0, -5.0, 5.0, 3_600.0, 90_000.0, 4e6)
SKEWS: Final = (-5.0, 5.0)
SLEEPS_S: Final = (2.0, 8.0, 8.0, 12.0, 40.0)  # times three quarters to five quarters
AFTER_SLEEP_S: Final = 6.0  # of the busy time are left to who has slept
COMMANDS: Final = ("replay", "replay", "replay", "discard", "resume", "resync")
# What a customer's projects and invoices are called, so that the rest follows from a number.
FAMILIES: Final = {
    "3": (("11",), ("101", "104")),  # 104 credits 101, and is of project 11
    "1": (("12",), ("102",)),  # 102 needs a product made, and is of project 12
    "2": ((), ("103",)),
}


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A class of histories. `often`: how often each kind of trouble is among them."""

    name: str
    share: float
    companies: tuple[int, ...]
    systems: tuple[tuple[str, ...], ...]
    workers: tuple[int, ...]
    events: tuple[int, int]  # of one company
    families: tuple[int, ...]
    seconds: float  # in which all of it comes; then the world is left in peace
    bursts: tuple[float, ...]
    burst_s: float
    steps: tuple[tuple[str, int], ...]  # kinds of steps, and how far into them a strike may fall
    many: tuple[int, ...]  # of a trouble, where there is any
    often: dict[str, float]


_AT_WRITES: Final = (("intend", 2), ("intend", 2), ("write", 2), ("written", 2))
SMALL: Final = Size(
    name="small",
    share=0.93,
    companies=(1,),
    systems=((SB1,), (DK,)),
    workers=(1, 1, 1, 2, 2),
    events=(1, 3),
    families=(1, 1, 1, 2),
    seconds=10.0,
    bursts=(0.5, 0.5, 4.0),
    burst_s=2.0,
    steps=(("", 36), ("commit", 12), ("read", 4), ("answer", 4), *_AT_WRITES),
    many=(1,),
    often={
        "faults": 0.5,
        "kill": 0.25,
        "sleep": 0.25,
        "shift": 0.12,
        "repeat": 0.15,
        "command": 0.2,
        "jump": 0.05,
        "away": 0.1,
        "remove": 0.04,
        "backup": 0.08,
        "bad": 0.2,
        "switch": 0.05,
        "wrong key": 0.05,
        "sequence": 0.3,
        "mend": 0.15,
    },
)
MEDIUM: Final = msgspec.structs.replace(
    SMALL,
    name="medium",
    share=0.06,
    companies=(1, 1, 2),
    systems=((SB1,), (DK,), (SB1, DK)),
    workers=(1, 2, 2),
    events=(3, 7),
    families=(1, 2),
    seconds=20.0,
    bursts=(1.0, 1.0, 8.0),
    steps=(
        ("", 90),
        ("commit", 30),
        ("read", 8),
        ("answer", 8),
        ("intend", 6),
        ("write", 6),
        ("written", 6),
    ),
    many=(1, 1, 2),
    often={**SMALL.often, "faults": 0.7, "kill": 0.4, "sleep": 0.3, "command": 0.4, "mend": 0.3},
)
LARGE: Final = msgspec.structs.replace(
    SMALL,
    name="large",
    share=0.01,
    companies=(1, 1, 1, 2),
    systems=((SB1,), (DK,), (SB1,), (SB1, DK)),
    workers=(1, 1, 2, 2, 2, 3),
    events=(3, 12),
    families=(3,),
    seconds=40.0,
    bursts=(1.0, 1.0, 8.0, 20.0),
    burst_s=3.0,
    steps=(
        ("", 160),
        ("commit", 50),
        ("read", 14),
        ("answer", 14),
        ("intend", 12),
        ("write", 12),
        ("written", 12),
    ),
    many=(1, 1, 2, 3),
    often={
        "faults": 0.8,
        "kill": 0.45,
        "sleep": 0.45,
        "shift": 0.5,
        "repeat": 0.5,
        "command": 0.6,
        "jump": 0.15,
        "away": 0.2,
        "remove": 0.08,
        "backup": 0.12,
        "bad": 0.6,
        "switch": 0.1,
        "wrong key": 0.4,
        "sequence": 0.4,
        "mend": 0.4,
    },
)
SIZES: Final = (SMALL, MEDIUM, LARGE)


def size_of(seed: int) -> Size:
    """How large the history of a seed is."""
    share = Luck(f"size {seed}").random()
    for size in SIZES:
        if share < size.share:
            return size
        share -= size.share
    return SMALL


def draw(seed: int, size: Size | None = None) -> History:
    """The history of a seed; of a size of its own, unless one is given."""
    return _Drawing(Luck(f"history {seed}"), seed, size or size_of(seed)).whole()


class _Drawing:
    def __init__(self, luck: Luck, seed: int, size: Size) -> None:
        self.luck = luck
        self.seed = seed
        self.size = size
        self.on = {kind for kind, often in size.often.items() if luck.chance(often)}
        self.seconds = size.seconds
        self.setups: tuple[Setup, ...] = ()
        self.puts: list[Put] = []
        self.states: dict[tuple[str, str, str], int] = {}

    def whole(self) -> History:
        luck = self.luck
        workers = luck.choice(self.size.workers)
        hosts = luck.choice((1, 1, workers))
        companies = COMPANIES[: luck.choice(self.size.companies)]
        families = list(FAMILIES)[: luck.choice(self.size.families)]
        self.setups = tuple(one for company in companies for one in self._setups(company, families))
        for company in companies:
            self._events(company, luck.randint(*self.size.events), families)
        strikes = self._strikes(workers)
        actions: list[Action] = [*self.puts, *self._repeats(), *self._troubles(hosts, families)]
        return History(
            seed=self.seed,
            workers=workers,
            hosts=hosts,
            setups=self.setups,
            actions=tuple(sorted(actions, key=lambda action: action.at)),
            strikes=strikes,
            fault_rate=luck.choice((0.1, 0.2, 0.3, 0.5)) if "faults" in self.on else 0.0,
            write_faults=self._write_faults(),
            bad=self._bad(),
            mend="mend" in self.on,
            seconds=self.seconds,
        )

    def _many(self, kind: str) -> int:
        return self.luck.choice(self.size.many) if kind in self.on else 0

    def _when(self) -> float:
        return round(0.5 + self.luck.random() * self.size.seconds * 0.75, 3)

    # -- the set-up -----------------------------------------------------------------------------

    def _setups(self, company: str, families: list[str]) -> list[Setup]:
        luck = self.luck
        found = []
        for system in luck.choice(self.size.systems):
            data: tuple[str, ...] = ALL_DATA
            if luck.chance(0.08):
                data = luck.choice((("invoices",), ("customers", "invoices")))
            present = luck.chance(0.5)
            found.append(
                Setup(
                    id=f"{company}-{system}",
                    company=company,
                    system=system,
                    data=data,
                    known=luck.chance(0.85),
                    present=(luck.choice(families),) if present else (),
                )
            )
        return found

    # -- events ---------------------------------------------------------------------------------

    def _events(self, company: str, many: int, families: list[str]) -> None:
        luck = self.luck
        for _ in range(many):
            family = luck.choice(families)
            projects, invoices = FAMILIES[family]
            kind = luck.choice(("customer", "customer", "customer", "project", "project", *"iiii"))
            if kind == "project" and projects:
                self._with_customer(company, family)
                self._event(company, "project", luck.choice(projects), family)
            elif kind == "i":
                self._with_customer(company, family)
                number = luck.choice(invoices)
                project = _project(number)
                if project and self._misses(company, "project", project):
                    self._event(company, "project", project, family)
                self._event(company, "invoice", number, family)
            else:
                self._event(company, "customer", family, "")

    def _with_customer(self, company: str, number: str) -> None:
        if self._misses(company, "customer", number):
            self._event(company, "customer", number, "")

    def _misses(self, company: str, kind: str, number: str) -> bool:
        """Whether a parent is to come too; some never do, and some are in the books already."""
        drawn = (company, kind, number) in self.states
        present = kind == "customer" and any(number in one.present for one in self.setups)
        return not drawn and self.luck.chance(0.3 if present else 0.75)

    def _event(self, company: str, kind: str, number: str, customer: str) -> None:
        luck = self.luck
        key = (company, kind, number)
        content = self.states[key] = self.states.get(key, 0) + 1
        if kind != "customer" and luck.chance(0.3):
            content = max(1, content - 1)  # the same content once more
        numbered = "sequence" in self.on and kind != "invoice"
        moves = kind == "project" and luck.chance(0.15)
        self.puts.append(
            Put(
                at=round(luck.choice(self.size.bursts) + luck.random() * self.size.burst_s, 3),
                id=f"e{len(self.puts) + 1}",
                kind=kind,
                company=company,
                number=number,
                content=content,
                customer=luck.choice(tuple(FAMILIES)) if moves else customer,
                project=_project(number) if kind == "invoice" else None,
                credits="101" if (kind, number) == ("invoice", "104") else None,
                sequence=self.states[key] if numbered else None,
                wrong_key="wrong key" in self.on and luck.chance(0.3),
            )
        )

    def _repeats(self) -> list[Put]:
        """The same event again, and an id that comes again with something else in it."""
        luck = self.luck
        found = []
        for put in self.puts if "repeat" in self.on else ():
            if luck.chance(0.4):
                later = round(put.at + luck.random() * self.size.seconds / 3, 3)
                other = 50 if luck.chance(0.25) else put.content
                found.append(msgspec.structs.replace(put, at=later, content=other))
        return found

    # -- trouble --------------------------------------------------------------------------------

    def _troubles(self, hosts: int, families: list[str]) -> list[Action]:
        luck = self.luck
        ids = [one.id for one in self.setups]
        found: list[Action] = [Shift(at=self._when()) for _ in range(self._many("shift"))]
        for _ in range(self._many("command")):
            kind = luck.choice(COMMANDS)
            found.append(Ask(at=self._when(), kind=kind, pick=luck.randint(0, 999)))
        if "jump" in self.on:
            jump = luck.choice(JUMPS if hosts == 1 else SKEWS)
            found.append(Jump(at=self._when(), host=luck.randint(0, hosts - 1), seconds=jump))
        if "away" in self.on:
            seconds = round(luck.random() * self.size.seconds, 3)
            at, name = self._when(), luck.choice(ids)
            if luck.chance(0.5):
                found.append(Refuse(at=at, integration=name, seconds=seconds))
            else:
                found.append(Down(at=at, integration=name, seconds=seconds))
        if "remove" in self.on:
            number = luck.choice(families)
            found.append(Remove(at=self._when(), integration=luck.choice(ids), number=number))
        if "backup" in self.on:
            at = self._when()
            restored_at = round(at + 1 + luck.random() * self.size.seconds / 2, 3)
            found.append(Backup(at=at, restored_at=restored_at))
            self.seconds = max(self.seconds, restored_at + AFTER_SLEEP_S)
        if "switch" in self.on:
            found += self._switches(luck.choice(self.setups))
        return found

    def _switches(self, setup: Setup) -> list[Action]:
        """A data type is switched off, or all of them are; often they come back."""
        luck = self.luck
        at = self._when()
        off = luck.choice(("", "customers", "projects", "invoices"))
        left = tuple(name for name in setup.data if off and name != off)
        found: list[Action] = [Switch(at=at, integration=setup.id, data=left)]
        if luck.chance(0.7):
            back = round(at + luck.random() * self.size.seconds / 2, 3)
            found.append(Switch(at=back, integration=setup.id, data=setup.data))
        return found

    def _strikes(self, workers: int) -> tuple[Strike, ...]:
        luck = self.luck
        found = []
        for kind in ("kill", "sleep"):
            for _ in range(self._many(kind)):
                sleeps = None
                if kind == "sleep":
                    sleeps = round(luck.choice(SLEEPS_S) * (0.75 + luck.random() / 2), 3)
                    self.seconds = max(self.seconds, sleeps + AFTER_SLEEP_S)
                step, most = luck.choice(self.size.steps)
                found.append(
                    Strike(
                        worker=luck.randint(0, workers - 1),
                        step=luck.randint(1, most),
                        kind=step,
                        sleeps=sleeps,
                        reboot=luck.chance(0.2),
                    )
                )
        return tuple(found)

    def _write_faults(self) -> tuple[str, ...]:
        """Often one or two kinds alone, so that they meet crashes and takeovers often enough."""
        luck = Luck(f"write faults {self.seed}")
        if luck.chance(0.4):
            return ()
        return tuple({luck.choice(WRITE_FAULTS): None, luck.choice(WRITE_FAULTS): None})

    def _bad(self) -> frozenset[str]:
        keys = sorted({f"{kind}/{number}" for _, kind, number in self.states})
        if "bad" not in self.on:
            return frozenset()
        return frozenset(key for key in keys if self.luck.chance(0.4))


def _project(number: str) -> str | None:
    """Which project an invoice is of."""
    return None if int(number) % 2 else str(11 + int(number) // 2 % 2)
