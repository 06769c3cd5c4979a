"""A ledger and a core in miniature: what a delivery goes through until something is final.

The decisions are the core's own (`streams.core.conclude`); kept in memory is what the ledger would
know. Time passes by hand, but for a commit that is under way: that one is waited for.
"""

import asyncio
from typing import Any, Final

import msgspec

from connectors.attempts import Attempt, Exchange, SendPermit
from connectors.integrations import Integration
from connectors.port import Intent, Job, Resolution, Settled, Unsure, Verdict
from schemas.events import Customer, Entity, EntityType, Invoice, type_of
from schemas.failures import Failure, Reference
from streams.core.conclude import Conclusion, Policy, Standing, conclude
from streams.core.states import State
from streams.verdicts import result_of
from tests.contracts.world import DEADLINE_S, World

SETTLE_S: Final = 30.0
POLICY: Final = Policy(
    retry_base=1.0,
    retry_max=60.0,
    retry_for=7200.0,
    settle=SETTLE_S,
    deadline=10.0,
    parent_wait=900.0,
)
STEPS_MAX: Final = 40
COMMIT_WITHIN_S: Final = 5.0


class Story(msgspec.Struct, kw_only=True):
    """What became of one delivery."""

    state: State
    verdict: Verdict | Resolution
    failure: Failure | None = None
    seen: list[str] = []
    holds: list[Failure] = []
    exchanges: list[Exchange] = []
    attempts: list[Attempt[Any]] = []

    @property
    def reference(self) -> Reference:
        """What the books call the record. Fails where there is none."""
        reference: Reference | None = getattr(self.verdict, "reference", None)
        assert reference is not None, self.verdict
        return reference

    @property
    def warnings(self) -> list[str]:
        return [one.code.value for one in getattr(self.verdict, "warnings", ())]


class Carrier:
    """Brings events to the books of a world and remembers what the ledger would."""

    def __init__(self, world: World, integration: Integration | None = None) -> None:
        self.world = world
        self.integration = integration or world.here
        self.references: dict[tuple[EntityType, str], Reference] = {}
        self.contents: dict[tuple[EntityType, str], bytes] = {}
        self.customer_events: dict[str, Customer] = {}
        self.intents: list[Intent] = []
        self.deadline_s = DEADLINE_S
        self._deliveries = 0

    async def intend(self, intent: Intent) -> SendPermit | None:
        """The intent is on disk; its bytes may leave within five seconds."""
        self.intents.append(intent)
        return SendPermit(self.world.clock.elapsed() + 5.0)

    def job(self, event: Entity, **facts: Any) -> Job:
        """The job of an event, with all that is known; `facts` win."""
        key = (type_of(event), event.number)
        customer = None if isinstance(event, Customer) else event.customer_number
        project = event.project_number if isinstance(event, Invoice) else None
        if isinstance(event, Customer):
            self.customer_events[event.number] = event
        self._deliveries += 1
        known: dict[str, Any] = {
            "delivery_id": f"d-{self.integration.id}-{self._deliveries}",
            "integration": self.integration,
            "event": event,
            "now": self.world.clock.now(),
            "itself": self.references.get(key),
            "applied": self.contents.get(key),
            "customer": self.references.get((EntityType.CUSTOMER, customer or "")),
            "project": self.references.get((EntityType.PROJECT, project or "")),
            "customer_event": self.customer_events.get(customer or ""),
        }
        return Job(**{**known, **facts})

    async def deliver(self, event: Entity, **facts: Any) -> Attempt[Verdict]:
        """One attempt, whatever comes of it."""
        return await self.try_once(self.job(event, **facts))

    async def try_once(self, job: Job) -> Attempt[Verdict]:
        """One attempt at a job."""
        return await self.world.runner(self.deadline_s).deliver(job, self.intend)

    async def applied(self, event: Entity, **facts: Any) -> Story:
        """Carry an event whose delivery must end as applied."""
        story = await self.carry(event, **facts)
        assert story.state is State.APPLIED, (story.state, story.seen, story.verdict)
        return story

    async def carry(self, event: Entity, **facts: Any) -> Story:
        """Carry an event until it is final, waits for a parent, or is dead."""
        job = self.job(event, **facts)
        standing = Standing(state=State.SENDING)
        intent: Intent | None = None
        story = Story(state=State.SENDING, verdict=Settled())
        for _ in range(STEPS_MAX):
            job = msgspec.structs.replace(job, now=self.world.clock.now(), post=standing.posts)
            attempt: Attempt[Any]
            if standing.state is State.UNCERTAIN:
                assert intent is not None
                await self._committed()
                attempt = await self.world.runner(self.deadline_s).resolve(job, intent)
            else:
                attempt = await self.try_once(job)
            verdict = attempt.verdict
            if isinstance(verdict, Unsure):
                intent = verdict.intent
            concluded = conclude(standing, result_of(verdict, self.integration.id), POLICY, 0.5)
            self._tell(story, attempt, concluded)
            # What is settled for an invoice is another record that it needs: a product.
            another = isinstance(event, Invoice)
            if concluded.in_books and isinstance(verdict, Settled) and not another:
                job = msgspec.structs.replace(job, itself=verdict.reference)
            if concluded.state not in (State.READY, State.DUE, State.UNCERTAIN):
                self._remember(job, story)
                return story
            assert len(story.holds) <= 3, story.holds
            self.world.clock.advance((concluded.act_in or 1.0) + (concluded.pause_s or 0.0))
            standing = _next(standing, concluded)
        raise AssertionError(f"no end of it: {story.seen}")

    async def _committed(self) -> None:
        """What the settle time is for: what was begun comes to its end."""
        async with asyncio.timeout(COMMIT_WITHIN_S):
            while self.world.late():  # noqa: ASYNC110 - a commit sets no event
                await asyncio.sleep(0.005)

    def _tell(self, story: Story, attempt: Attempt[Any], concluded: Conclusion) -> None:
        story.state = concluded.state
        story.verdict = attempt.verdict
        story.failure = concluded.failure
        story.seen.append(type(attempt.verdict).__name__)
        story.exchanges.extend(attempt.exchanges)
        story.attempts.append(attempt)
        if concluded.hold is not None:
            story.holds.append(concluded.hold)

    def _remember(self, job: Job, story: Story) -> None:
        key = (type_of(job.event), job.event.number)
        reference = getattr(story.verdict, "reference", None)
        if reference is not None:
            self.references[key] = reference
        if story.state is State.APPLIED:
            self.contents[key] = self.world.connector.content(job.event, self.integration)


def _next(standing: Standing, concluded: Conclusion) -> Standing:
    uncertain = concluded.state is State.UNCERTAIN
    return msgspec.structs.replace(
        standing,
        state=State.UNCERTAIN if uncertain else State.SENDING,
        attempts=concluded.attempts,
        retried_s=concluded.retried_s,
        posts=concluded.posts,
        absences=concluded.absences,
    )


async def parents_of(world: World) -> Carrier:
    """A carrier that has brought the customer and the project of all invoices."""
    carrier = Carrier(world)
    await carrier.applied(world.customer())
    await carrier.applied(world.project())
    return carrier
