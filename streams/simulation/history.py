"""A history: what the world does to the workers, as a value that can be kept, cut and run again.

Latencies and faults are not listed but drawn when they are needed, each from the seed and its own
name, so that a history that is cut keeps those that are left.
"""

import msgspec


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


class Switch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From now on an integration carries these data types; none: it is not set up any more."""

    at: float
    integration: str
    data: tuple[str, ...]


Action = Put | Ask | Shift | Jump | Refuse | Down | Remove | Backup | Switch


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
    write_faults: tuple[str, ...] = ()  # those that writes meet; none: all that there are
    bad: frozenset[str] = frozenset()
    seconds: float = 40.0  # in which all this comes; then the world is left in peace
    mend: bool = False  # in the end what is bad is mended, the dead are replayed, the absent come


def dump(history: History) -> bytes:
    """As JSON, for a file."""
    return msgspec.json.format(msgspec.json.encode(history, order="deterministic"), indent=1)


def load(text: bytes) -> History:
    """Read a history back. Raises `msgspec.DecodeError` where the text is none."""
    return msgspec.json.decode(text, type=History)
