"""The port between the flow of deliveries and the accounting systems.

A connector decides and does no I/O: it is a set of generators. Each yields steps (a read, a
look-up of reference data, a write), is sent what came of the step, and returns a verdict.
One shell, `connectors/runner.py`, drives every connector: it adds credentials, keeps deadlines,
caches, and records the intent on disk before a write leaves.

    verdict = yield from …          Applied     it is in the books as asked
                                    Unchanged   nothing had to be written (said why in warnings)
                                    Manual      a person has to do it by hand
                                    Refused     dead until a person acts
                                    Hold        nothing of this integration can be done now
                                    Retry       transient: try again later
                                    Unsure      a write may have happened and we do not know
                                    GateClosed  a parent turned out not to be in the books
                                    Dropped     given up before the bytes left: no attempt
"""

from collections.abc import Callable, Generator
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from connectors.integrations import Integration
from schemas.events import Customer, Entity, EntityType
from schemas.failures import Change, Failure, Notable, Reference


class Clock(Protocol):
    """Time as an argument. `now` is UTC for people and dates; `elapsed` is CLOCK_BOOTTIME."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def elapsed(self) -> float:
        """Seconds since boot, suspended time included; never goes back within one boot."""

    @property
    def boot_id(self) -> str:
        """Names the host and boot within which `elapsed` may be compared."""


# --- what crosses HTTP -----------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request below the integration's base URL.

    `path` starts with `/` and is percent-encoded, segment by segment, by who makes the request:
    only they know what is a segment. `query` is not yet encoded. Credentials, company key and
    Accept are added by the shell.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    authorised: bool = True
    company_scoped: bool = True  # False: no CompanyKey header (SpareBank 1 `init/companies`)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer. Header names are lower case; the body is bounded by the shell."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the definition of 2xx


class NoAnswerKind(StrEnum):
    """Why there is no usable answer."""

    REFUSED = "refused"  # no connection was made: nothing was sent
    TIMEOUT = "timeout"
    BROKEN = "broken"  # the connection ended before the answer was complete
    TOO_LARGE = "too-large"
    DROPPED = "dropped"  # we gave up before the first byte left (ownership, send-by, shutdown)
    TOKEN = "token"  # noqa: S105 - a word, not a secret: no token could be had, nothing was sent


class NoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """No usable answer. `sent` is False only where it is certain that no byte left."""

    kind: NoAnswerKind
    sent: bool
    reason: str = ""
    verdict: "Hold | Retry | None" = None  # set with TOKEN: what the identity server's answer means


# --- steps -----------------------------------------------------------------------------------


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger keeps of a write before it leaves.

    `kind`: for example `customer.create`, `voucher.book`, `product.create`.
    `key`: the natural key that a look-up would use (customer number, item code, reference).
    `repeatable`: True where sending the same request twice does no harm (an update by id).
    `booking`: True where money is booked.
    `detail`: small facts that the look-up needs (internal ids, amounts as strings).
    """

    kind: str
    key: str
    repeatable: bool = False
    booking: bool = False
    detail: dict[str, str] = {}


class Call(msgspec.Struct, frozen=True):
    """A read. Sent back: `Answer | NoAnswer`. May be repeated freely; never changes anything."""

    request: Request


class Write(msgspec.Struct, frozen=True):
    """A write. The shell has the intent on disk before the bytes leave, or drops the attempt.

    Sent back: `Answer | NoAnswer`.
    """

    request: Request
    intent: Intent


class Look(msgspec.Struct, frozen=True):
    """Reference data (account, VAT code, product, …), cached for an hour when it was found.

    `fetch` is a flow that returns the value, None where the books do not have it, or the verdict
    (`Retry`, `Hold`, `Refused`) where that could not be learnt. `suits` says whether a cached
    value is good enough; where it is not, or nothing is cached, the value is read again, once for
    all who wait. A "no" is therefore always fresh. Sent back: what `fetch` returned.
    """

    key: str
    fetch: "Callable[[], Flow]"
    suits: Callable[[Any], bool] = lambda _value: True


class Forget(msgspec.Struct, frozen=True):
    """Drop cached reference data whose key starts with `prefix`. Sent back: None."""

    prefix: str


Step = Call | Write | Look | Forget


# --- verdicts --------------------------------------------------------------------------------


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The books are as asked. `reference` is what the accounting system calls the record."""

    reference: Reference
    warnings: tuple[Notable, ...] = ()


class Unchanged(msgspec.Struct, frozen=True, kw_only=True):
    """There was nothing to write, for example no line of an invoice has an amount."""

    reference: Reference | None = None
    warnings: tuple[Notable, ...] = ()


class Manual(msgspec.Struct, frozen=True, kw_only=True):
    """The accounting system cannot be made to do it: a person changes these fields by hand."""

    changes: tuple[Change, ...]
    reference: Reference
    warnings: tuple[Notable, ...] = ()


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """It cannot be done as the event stands. Dead until a person acts."""

    failure: Failure
    warnings: tuple[Notable, ...] = ()


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """The failure concerns the whole integration: it is held and probed."""

    failure: Failure


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Transient. `retry_after` seconds were asked for by the accounting system, for everything."""

    failure: Failure
    retry_after: float | None = None


class Unsure(msgspec.Struct, frozen=True, kw_only=True):
    """The write of `intent` may have happened. It is looked up after deadline and settle time.

    `retry_after` seconds were asked for by the accounting system, for everything.
    """

    failure: Failure
    intent: Intent
    retry_after: float | None = None


class GateClosed(msgspec.Struct, frozen=True, kw_only=True):
    """A parent that the ledger took to be in the books is not there (or not any more)."""

    parent_type: EntityType
    parent_number: str


class Dropped(msgspec.Struct, frozen=True):
    """Given up before any byte of a write left. Costs no attempt."""


Verdict = Applied | Unchanged | Manual | Refused | Hold | Retry | Unsure | GateClosed | Dropped


class Absent(msgspec.Struct, frozen=True):
    """A look-up that succeeded and found nothing."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The uncertain write did happen, but the delivery has more to do: it goes on."""

    reference: Reference | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A parent is in the books."""

    reference: Reference
    warnings: tuple[Notable, ...] = ()


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which books these are, as text that is equal only for the same books."""

    books: str


Resolution = Applied | Manual | Settled | Absent | Retry | Hold | Refused
Finding = Found | Absent | Retry | Hold | Refused
Identification = Identity | Retry | Hold

Flow = Generator[Step, Any, Any]


# --- the job ---------------------------------------------------------------------------------


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery to one accounting system, with all that the ledger knows.

    `itself`, `customer`, `project`, `credited`: what the books call the entity, its parents and
    the credited invoice, where the ledger knows it. `applied`: content (see `Connector.content`)
    that was applied last, None where nothing was. `customer_event`: the customer's last event,
    where there was one. `look_up_first`: the ledger is not unbroken (restored, replay, resync,
    new books): look for the booking before posting. `replay` counts replays of this delivery.
    `post` counts the posts of this booking that were proved absent before. `waited_s`: seconds
    since it was asked for; a read of reference data in that time is as good as one from now on.
    """

    delivery_id: str
    integration: Integration
    event: Entity
    now: datetime
    itself: Reference | None = None
    customer: Reference | None = None
    project: Reference | None = None
    credited: Reference | None = None
    applied: bytes | None = None
    customer_event: Customer | None = None
    look_up_first: bool = False
    replay: int = 0
    post: int = 0
    waited_s: float = 0.0


class Connector(Protocol):
    """What a connector offers. Stateless; every method is pure or a flow without I/O of its own.

    A remote failure never raises: it is a verdict.
    """

    def content(self, event: Entity, integration: Integration) -> bytes:
        """The mapped content of an event: canonical JSON of what would be written.

        Holds the version of the mapping, no internal ids, no clock. Two events with equal content
        write the same; equal content again is `unchanged`.
        """

    def deliver(self, job: Job) -> Flow:
        """Bring the books to the job's state. Returns a `Verdict`."""

    def resolve(self, job: Job, intent: Intent) -> Flow:
        """Look for an uncertain write by its natural key. Returns a `Resolution`.

        A hit is compared in code (company, customer, number, amount, sign, not credited). The
        caller keeps the waiting times and needs two `Absent` before it believes one.
        """

    def find(self, entity_type: EntityType, number: str, integration: Integration) -> Flow:
        """Ask whether a customer, project or invoice is in the books. Returns a `Finding`."""

    def identify(self, integration: Integration) -> Flow:
        """Ask whose books these are. Returns an `Identification`."""


Pick = Callable[[Answer], Any]
