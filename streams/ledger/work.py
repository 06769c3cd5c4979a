"""What dispatch asks the ledger for, and what it is given: wants, claims, claimed deliveries."""

import msgspec

from connectors.integrations import Integration
from schemas.events import Customer, Entity, EntityType
from schemas.failures import Failure, Notable, Reference
from streams.core.model import EntityRow
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import Moment

SEND_WITHIN_S = 5.0  # design section 6: an intent is good for this long, then it is taken anew
# Longer than any settle time: what was booked is shown by a look-up by then.
BOOKED_SHOWS_S = 600.0


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one integration may be taken now.

    `sends`: deliveries in all; `bookings`: invoices in flight over all workers. `held`: its
    failure where the integration is held: then nothing is taken but told, except one `probe`.
    """

    integration: Integration
    sends: int
    bookings: int
    books: str = ""  # the identity of the books
    look_up_until: float = 0.0  # wall clock: until then every booking looks up first
    held: Failure | None = None
    tell_held: bool = True
    spare: int = 2  # candidates read beyond those wanted, for those that turn out to have to wait
    probe: bool = False  # take the probe of the hold, if it is still due
    hold_probe_s: float = 30.0
    hold_probe_max_s: float = 900.0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One request for work: lanes with their epochs, and wants in the order of their turn."""

    wants: tuple[Want, ...]
    epochs: dict[int, int]
    most: int
    now: Moment
    parent_wait: float


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is now `sending`, with all that its attempt needs."""

    delivery: StoredDelivery
    epoch: int  # of its lane when it was claimed; nothing is written under another
    books: str  # the identity of the books that it was claimed for
    integration: Integration
    event: Entity
    content: bytes
    row: EntityRow
    parents: dict[EntityType, Reference | None]
    customer_event: Customer | None
    warnings: tuple[Notable, ...]
    look_up_first: bool
    probe: bool
    send_by: float | None  # set where the claim itself is the intent of a repeatable write


class ClaimResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken. `more`: integrations with candidates that were not looked at.

    `crowded`: integrations whose bookings in flight, of any worker, leave no slot: no invoice of
    them was looked at, and nobody will tell this worker when there is a slot again.
    """

    claimed: tuple[Claimed, ...] = ()
    more: frozenset[str] = frozenset()
    moved: dict[str, int] = {}  # by integration: decided, and not sent
    crowded: frozenset[str] = frozenset()
