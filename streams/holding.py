"""Whose books an integration has, and whether it is held: asked, told, probed, lifted."""

from connectors import port
from connectors.secrets import file_mark
from schemas.failures import Failure, FailureClass, FailureCode
from schemas.lane import partition_of
from streams.desk import Desk
from streams.ledger.holds import HoldChange, change_hold, load_holds
from streams.ledger.known_books import Identified, identify_books
from streams.ledger.rules import Moment
from streams.ledger.work import Want
from streams.tenants import ASK_IDENTITY_AGAIN_S, Tenant

TOKEN_LOOK_S = 1.0  # between two looks at the file of a token: one `stat`
IDENTIFY_RETRY_S = 5.0  # an identity that could not be learnt is asked for again


class Holding:
    """The holds and identities of a worker's integrations."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def identified(self, tenant: Tenant, elapsed: float) -> bool:
        """Whether the books are known; where it is time to, they are asked for beside."""
        if self._token_changed(tenant, elapsed):
            # Maybe another company's: nothing is begun until its books have said whose they are.
            tenant.books, tenant.identify_at = None, 0.0
        if elapsed >= tenant.identify_at and not tenant.identifying:
            tenant.identifying = True
            self._desk.spawn(self._identify(tenant))
        return tenant.books is not None

    def _token_changed(self, tenant: Tenant, elapsed: float) -> bool:
        """Whether the file of its token is another one than at the last look."""
        if elapsed < tenant.token_look_at:
            return False
        tenant.token_look_at = elapsed + TOKEN_LOOK_S
        before, tenant.token_mark = tenant.token_mark, file_mark(tenant.integration.token)
        return before is not None and tenant.token_mark != before

    async def _identify(self, tenant: Tenant) -> None:
        # Said first: whatever goes wrong below, the question is not put again at once.
        tenant.identify_at = self._desk.clock.elapsed() + IDENTIFY_RETRY_S
        try:
            verdict = await self._desk.performer.identify(tenant.integration)
            match verdict:
                case port.Identity(books=books):
                    await self._know(tenant, books)
                    # While that was written, an empty probe may have asked for it anew.
                    if tenant.books is not None:
                        tenant.identify_at = self._desk.clock.elapsed() + ASK_IDENTITY_AGAIN_S
                case port.Hold(failure=failure):
                    await self.change_hold(tenant, failure)
                    tenant.identify_at = (
                        self._desk.clock.elapsed() + self._desk.settings.hold_probe_s
                    )
                case port.Retry(retry_after=retry_after):
                    pause = max(IDENTIFY_RETRY_S, retry_after or 0.0)
                    tenant.identify_at = self._desk.clock.elapsed() + pause
        finally:
            tenant.identifying = False
            tenant.hungry = True
            self._desk.work.set()

    async def _know(self, tenant: Tenant, identity: str) -> None:
        name = tenant.integration.id
        first = tenant.books is None
        known = await self._desk.ledger.submit(
            identify_books,
            Identified(
                integration=name,
                identity=identity,
                others=frozenset(self._desk.tenants.in_force()) - {name},
                now=self._desk.now(),
                hold_probe_s=self._desk.settings.hold_probe_s,
                hold_probe_max_s=self._desk.settings.hold_probe_max_s,
            ),
        )
        if known.accepted:
            tenant.books = identity
            tenant.look_up_until = known.look_up_until
            held = tenant.held()
            if first and held is not None and _is_of_identity(held):
                await self.change_hold(tenant, None)
        else:
            tenant.books = None
            await self.see_holds()

    async def change_hold(self, tenant: Tenant, failure: Failure | None) -> None:
        """Hold an integration, or with None end its hold."""
        await self._desk.ledger.submit(
            change_hold,
            HoldChange(
                integration=tenant.integration.id,
                failure=failure,
                now=self._desk.now(),
                hold_probe_s=self._desk.settings.hold_probe_s,
                hold_probe_max_s=self._desk.settings.hold_probe_max_s,
            ),
        )
        if failure is None:
            tenant.ramp()
        await self.see_holds()

    async def see_holds(self) -> None:
        """Read the holds and pauses of all integrations, whoever wrote them."""
        found = await self._desk.ledger.read(load_holds)
        for name, tenant in self._desk.tenants.by_id.items():
            was, now = tenant.held(), found.get(name)
            tenant.hold = now
            if was is not None and tenant.held() is None:
                if tenant.books is None:
                    tenant.identify_at = 0.0  # it was put off for as long as a probe is
                tenant.hungry = True
                self._desk.work.set()

    def end_empty_probes(self, wants: tuple[Want, ...], claimed: set[str]) -> None:
        """A hold that asking whose books it has can end is probed so where nothing is to be sent.

        That is done by the owner of the lane of the integration's id (design section 8). Any other
        hold waits for a delivery of the kind that was refused, in whosever lane it is.
        """
        for want in wants:
            if not want.probe or want.integration.id in claimed or want.held is None:
                continue
            tenant = self._desk.tenants.by_id[want.integration.id]
            tenant.probing = False
            lane = partition_of(tenant.integration.id.encode(), self._desk.partitions)
            if lane in self._desk.active and _is_of_identity(want.held):
                tenant.books = None
                tenant.identify_at = 0.0

    def wake_probes(self, now: Moment) -> None:
        """Wake the integrations whose probe, or whose identity, is due."""
        for tenant in self._desk.tenants.by_id.values():
            if tenant.probe_due(now) or now.elapsed >= tenant.identify_at:
                tenant.hungry = True


def _is_of_identity(failure: Failure) -> bool:
    """Whether asking whose books these are proves that the hold's cause is mended."""
    return (
        failure.failure_class is FailureClass.ACCESS
        or failure.code is FailureCode.BOOKS_IDENTITY_CHANGED
    )
