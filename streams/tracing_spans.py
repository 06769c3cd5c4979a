"""Spans of an event's way: ingest, attempts, calls, outcomes. Knows OpenTelemetry.

An event's trace is the one that it came with, else one made from its source and id; the span of
its ingest has an id made from these as well. So every worker knows, from the ledger's copy of the
event alone, what an attempt or an outcome belongs to, however often workers were restarted.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from connectors.http import HttpSender
from connectors.integrations import Integration
from connectors.port import Answer, Clock, NoAnswer
from schemas.cloudevents import open_envelope
from schemas.deadletters import DEADLETTERS_TOPIC
from schemas.wire import Record
from streams.attempts import Outcome, Performer
from streams.ledger.context import Context as LedgerContext
from streams.ledger.rows import StoredDelivery
from streams.ledger.work import Claimed
from streams.ports import Intake, Outbox, OutboxRow

NAME: Final = "moment-sync"
TRACEPARENT: Final = "traceparent"
# The last spans of a worker that ends are not waited for longer.
EXPORT_WITHIN_S: Final = 5
_NS: Final = 1_000_000_000
_ERRORS: Final = 500

_propagator = TraceContextTextMapPropagator()
_forced: ContextVar[tuple[int, int] | None] = ContextVar("forced", default=None)


class _EventIds(RandomIdGenerator):
    """Random ids, but for the span of an ingest."""

    def generate_span_id(self) -> int:
        forced = _forced.get()
        return super().generate_span_id() if forced is None else forced[1]

    def generate_trace_id(self) -> int:
        forced = _forced.get()
        return super().generate_trace_id() if forced is None else forced[0]


def provider_for(version: str, exporter: SpanExporter) -> TracerProvider:
    """What makes and exports spans, in a thread of its own. OTEL_* variables count."""
    provider = TracerProvider(
        resource=Resource.create({"service.name": NAME, "service.version": version}),
        id_generator=_EventIds(),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def to_console() -> SpanExporter:
    """Spans as JSON on standard output, for trying things out."""
    return ConsoleSpanExporter()


def to_collector() -> SpanExporter:
    """Spans to a collector, by OTLP over HTTP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,  # need not be installed for the console
    )

    return OTLPSpanExporter(timeout=EXPORT_WITHIN_S)


class Origin(msgspec.Struct, frozen=True):
    """Where an event's trace begins. `parent`: of the ingest; None where that is the first span."""

    parent: SpanContext | None
    trace_id: int
    span_id: int  # of the ingest


class Tracing:
    """Wraps what a worker is made of. `provider` makes the spans."""

    def __init__(self, provider: TracerProvider, clock: Clock) -> None:
        self._provider = provider
        self._clock = clock
        self.tracer = provider.get_tracer(NAME)

    def close(self) -> None:
        """Export what there is. Blocks, for some seconds at most."""
        self._provider.shutdown()

    def intake(self, inner: Intake) -> Intake:
        """An intake that makes a span of each event that is written down."""
        return _TracedIntake(inner, self)

    def outbox(self, inner: Outbox) -> Outbox:
        """An outbox whose outcomes carry their trace."""
        return _TracedOutbox(inner, self)

    def sender(self, inner: HttpSender) -> HttpSender:
        """A sender whose calls are spans, and carry their trace."""
        return _TracedSender(inner, self)

    def performer(self, **parts: Any) -> Performer:
        """A performer whose attempts and look-ups are spans."""
        return _TracedPerformer(self, **parts)

    def now_ns(self) -> int:
        """The wall clock, in nanoseconds since 1970."""
        return int(self._clock.now().timestamp() * _NS)

    def origin(
        self, traceparent: str | None, tracestate: str | None, source: str, ce_id: str
    ) -> Origin:
        """The origin of an event, from what came with it."""
        carrier = {TRACEPARENT: traceparent or "", "tracestate": tracestate or ""}
        found = trace.get_current_span(_propagator.extract(carrier, Context())).get_span_context()
        digest = hashlib.blake2b(f"{source}\0{ce_id}".encode(), digest_size=24).digest()
        span_id = int.from_bytes(digest[16:]) or 1
        if found.is_valid:
            return Origin(found, found.trace_id, span_id)
        return Origin(None, int.from_bytes(digest[:16]) or 1, span_id)

    def below(self, origin: Origin) -> Context:
        """The context of what follows the ingest, in whichever worker."""
        if origin.parent is not None:
            flags = origin.parent.trace_flags
        else:
            kept = self._provider.sampler.should_sample(None, origin.trace_id, "ingest")
            flags = TraceFlags(int(kept.decision is Decision.RECORD_AND_SAMPLE))
        state = None if origin.parent is None else origin.parent.trace_state
        place = SpanContext(origin.trace_id, origin.span_id, True, flags, state)
        return trace.set_span_in_context(NonRecordingSpan(place), Context())

    @contextmanager
    def attempt(self, name: str, delivery: StoredDelivery) -> Iterator[Span]:
        """The span of an attempt or a look-up, current while it lasts."""
        attributes = open_envelope(delivery.record).attributes
        origin = self.origin(
            attributes.get(TRACEPARENT),
            attributes.get("tracestate"),
            delivery.source,
            delivery.ce_id,
        )
        with self.tracer.start_as_current_span(
            name,
            context=self.below(origin),
            attributes={
                "moment_sync.integration": delivery.integration,
                "moment_sync.system": delivery.system,
                "moment_sync.entity_type": delivery.entity_type.value,
                "moment_sync.delivery_id": delivery.delivery_id,
                "moment_sync.attempt": delivery.attempts + 1,
            },
            record_exception=False,  # its text may hold what an accounting system said
            set_status_on_exception=False,
        ) as span:
            yield span


class _TracedIntake:
    def __init__(self, inner: Intake, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def take(self, records: Sequence[Record]) -> None:
        """Write down a fetch; then tell of each of its events."""
        begun = self._tracing.now_ns()
        await self._inner.take(records)
        ended = self._tracing.now_ns()
        for record in records:
            self._tell(record, begun, ended)

    async def resume_at(
        self, committed: Mapping[tuple[str, int], int]
    ) -> Mapping[tuple[str, int], int]:
        """As the inner one says."""
        return await self._inner.resume_at(committed)

    def _tell(self, record: Record, begun: int, ended: int) -> None:
        envelope = open_envelope(record)
        said = envelope.attributes
        if envelope.problem is not None:
            return
        tracing = self._tracing
        origin = tracing.origin(
            said.get(TRACEPARENT), said.get("tracestate"), said["source"], said["id"]
        )
        parent = Context()
        if origin.parent is not None:
            parent = trace.set_span_in_context(NonRecordingSpan(origin.parent), parent)
        token = _forced.set((origin.trace_id, origin.span_id))
        try:
            span = tracing.tracer.start_span(
                f"ingest {record.topic}",
                context=parent,
                kind=SpanKind.CONSUMER,
                start_time=begun,
                attributes={
                    "messaging.system": "kafka",
                    "messaging.destination.name": record.topic,
                    "messaging.destination.partition.id": str(record.partition),
                    "messaging.kafka.offset": record.offset,
                    "cloudevents.event_id": said["id"],
                    "cloudevents.event_source": said["source"],
                    "cloudevents.event_type": said["type"],
                },
            )
        finally:
            _forced.reset(token)
        span.end(ended)


class _TracedPerformer(Performer):
    def __init__(self, tracing: Tracing, **parts: Any) -> None:
        super().__init__(**parts)
        self._tracing = tracing

    async def deliver(self, claimed: Claimed) -> Outcome:
        with self._tracing.attempt("attempt", claimed.delivery) as span:
            outcome = await super().deliver(claimed)
            _told(span, outcome)
            return outcome

    async def look_up(
        self,
        delivery: StoredDelivery,
        integration: Integration,
        context: LedgerContext,
        *,
        books: str,
        epoch: int,
    ) -> Outcome:
        with self._tracing.attempt("look-up", delivery) as span:
            outcome = await super().look_up(
                delivery, integration, context, books=books, epoch=epoch
            )
            _told(span, outcome)
            return outcome


def _told(span: Span, outcome: Outcome) -> None:
    result = outcome.result
    span.set_attribute("moment_sync.verdict", result.what.value)
    if result.failure is not None:
        span.set_attribute("moment_sync.failure", result.failure.code.value)
        span.set_status(StatusCode.ERROR, result.failure.code.value)


class _TracedSender:
    def __init__(self, inner: HttpSender, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def send(
        self,
        url: str,
        *,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline_s: float,
        may_send: Callable[[], bool],
    ) -> Answer | NoAnswer:
        """One request as a span. Of the URL only the host is told: the rest may name somebody."""
        parts = urlsplit(url)
        with self._tracing.tracer.start_as_current_span(
            method,
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": method,
                "server.address": parts.hostname or "",
                "server.port": parts.port or 443,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            carried = dict(headers)
            _propagator.inject(carried)
            reply = await self._inner.send(
                url,
                method=method,
                headers=carried,
                body=body,
                deadline_s=deadline_s,
                may_send=may_send,
            )
            if isinstance(reply, NoAnswer):
                span.set_attribute("error.type", reply.kind.value)
                span.set_status(StatusCode.ERROR, reply.kind.value)
            else:
                span.set_attribute("http.response.status_code", reply.status)
                if reply.status >= _ERRORS:
                    span.set_status(StatusCode.ERROR)
            return reply


class _Event(msgspec.Struct):
    id: str
    source: str


class _Told(msgspec.Struct):
    event: _Event


_outcome = msgspec.json.Decoder(_Told)


class _TracedOutbox:
    """Outcomes get a `traceparent` of Kafka's own; letters stay as their records came."""

    def __init__(self, inner: Outbox, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing
        self._open: dict[int, tuple[Span, OutboxRow]] = {}  # given out, not published: bounded

    async def wait(self) -> None:
        """As the inner one does."""
        await self._inner.wait()

    async def unpublished(self, limit: int) -> Sequence[OutboxRow]:
        """The rows with their trace; one that is given out again has the same one again."""
        rows = await self._inner.unpublished(limit)
        given = {row.position for row in rows}
        for position in [one for one in self._open if one not in given]:
            self._open.pop(position)[0].end()
        return [self._traced(row) for row in rows]

    async def published(self, positions: Sequence[int]) -> None:
        """Mark them, and end their spans."""
        await self._inner.published(positions)
        for position in positions:
            span, _ = self._open.pop(position, (trace.INVALID_SPAN, None))
            span.end()

    def _traced(self, row: OutboxRow) -> OutboxRow:
        known = self._open.get(row.position)
        if known is not None:
            return known[1]
        record = row.record
        if record.topic == DEADLETTERS_TOPIC or record.value is None:
            return row
        told = _outcome.decode(record.value).event
        said = {name: value.decode(errors="replace") for name, value in record.headers}
        origin = self._tracing.origin(
            said.get("ce_traceparent"), said.get("ce_tracestate"), told.source, told.id
        )
        span = self._tracing.tracer.start_span(
            f"publish {record.topic}",
            context=self._tracing.below(origin),
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "kafka",
                "messaging.destination.name": record.topic,
                "cloudevents.event_id": said.get("ce_id", ""),
                "cloudevents.event_type": said.get("ce_type", ""),
            },
        )
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(span, Context()))
        added = tuple((name, value.encode()) for name, value in carrier.items())
        traced = msgspec.structs.replace(record, headers=(*record.headers, *added))
        new = msgspec.structs.replace(row, record=traced)
        self._open[row.position] = span, new
        return new
