"""One event's trace goes through ingest, attempt, call and outcome, and outlives the worker."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind

from schemas.cloudevents import Mode
from streams import tracing as tracing_module
from streams.clock import SystemClock
from streams.tracing import TracesError, tracing_of
from streams.tracing_spans import Tracing, _EventIds, provider_for
from tests.observability.running import (
    INTEGRATION,
    Running,
    books,
    customer,
    record_of,
    running,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"
OTHER = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


class Spans:
    """A provider whose spans stay here."""

    def __init__(self, **how: Any) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(id_generator=_EventIds(), **how)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider, SystemClock())

    def named(self, name: str) -> list[ReadableSpan]:
        return [one for one in self.exporter.get_finished_spans() if one.name == name]

    def one(self, name: str) -> ReadableSpan:
        found = self.named(name)
        assert len(found) == 1, [span.name for span in self.exporter.get_finished_spans()]
        return found[0]

    def traces(self) -> set[str]:
        """Of all but calls that belong to no event: whose books these are."""
        calls = {s.context.span_id for s in self.named("GET") if s.parent is None and s.context}
        return {
            f"{s.context.trace_id:032x}"
            for s in self.exporter.get_finished_spans()
            if s.context and s.context.span_id not in calls
        }


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    assert span.context
    return f"{span.context.span_id:016x}"


Story = Callable[[Running], Awaitable[None]]


def play(directory: Path, spans: Spans, *stories: Story) -> None:
    """Each story with a worker of its own on the same ledger and books, one after the other."""

    async def run() -> None:
        async with books() as url:
            for story in stories:
                async with running(directory, url, tracing=spans.tracing) as worker:
                    await asyncio.wait_for(story(worker), 60.0)

    asyncio.run(run())


async def applied(w: Running) -> None:
    await w.until(lambda: w.state("a") == "applied", "it is applied")


async def told(w: Running, spans: Spans) -> dict[str, str]:
    """Publish the outcome as the publisher does; its headers."""
    outbox = spans.tracing.outbox(w.worker.outbox)
    rows = await outbox.unpublished(10)
    again = await outbox.unpublished(10)
    assert [row.record for row in again] == [row.record for row in rows], "the same on a repeat"
    await outbox.published([row.position for row in rows])
    return {name: value.decode() for name, value in rows[0].record.headers}


@pytest.mark.parametrize(
    ("how", "mode"),
    [
        ({"traceparent": PARENT}, Mode.BINARY),
        ({"traceparent": PARENT}, Mode.STRUCTURED),
        ({"header": PARENT}, Mode.BINARY),
        ({"header": PARENT}, Mode.STRUCTURED),
        ({"traceparent": PARENT, "header": OTHER}, Mode.BINARY),
        ({"traceparent": PARENT, "header": OTHER}, Mode.STRUCTURED),
    ],
)
def test_a_trace_goes_from_the_producer_to_the_outcome(
    tmp_path: Path, how: dict[str, str], mode: Mode
) -> None:
    spans = Spans()
    headers: dict[str, str] = {}

    async def story(w: Running) -> None:
        await w.take(record_of(customer(), "a", mode=mode, **how))
        await applied(w)
        headers.update(await told(w, spans))

    play(tmp_path, spans, story)
    assert spans.traces() == {TRACE}
    ingest = spans.one("ingest moment.customers")
    assert (ingest.kind, parent_of(ingest)) == (SpanKind.CONSUMER, SPAN)
    attempt = spans.one("attempt")
    assert parent_of(attempt) == id_of(ingest)
    assert attempt.attributes
    assert attempt.attributes["moment_sync.verdict"] == "applied"
    assert attempt.attributes["moment_sync.integration"] == INTEGRATION
    calls = [s for name in ("GET", "POST", "PUT") for s in spans.named(name) if s.parent]
    assert {parent_of(call) for call in calls} == {id_of(attempt)}
    assert {call.kind for call in calls} == {SpanKind.CLIENT}
    publish = spans.one("publish moment-sync.results")
    assert (publish.kind, parent_of(publish)) == (SpanKind.PRODUCER, id_of(ingest))
    assert headers["traceparent"] == f"00-{TRACE}-{id_of(publish)}-01"
    assert headers["ce_traceparent"] == PARENT, "what the event had, as without traces"


def test_a_trace_outlives_the_worker_that_began_it(tmp_path: Path) -> None:
    """It is kept with the event in the ledger, or made from the event's identity."""
    for ce_id, traceparent in (("a", None), ("b", PARENT)):
        spans = Spans()
        directory = tmp_path / ce_id
        directory.mkdir()

        async def first(w: Running, ce_id: str = ce_id, trace: str | None = traceparent) -> None:
            w.worker.dispatcher.desk.active.clear()  # it ends before it has sent anything
            await w.take(record_of(customer(), ce_id, traceparent=trace))
            assert w.state(ce_id) == "ready"

        async def second(w: Running, ce_id: str = ce_id, spans: Spans = spans) -> None:
            await w.until(lambda: w.state(ce_id) == "applied", "it is applied")
            await told(w, spans)

        play(directory, spans, first, second)
        assert len(spans.traces()) == 1
        ingest = id_of(spans.one("ingest moment.customers"))
        assert parent_of(spans.one("attempt")) == ingest
        assert parent_of(spans.one("publish moment-sync.results")) == ingest


def test_an_accounting_system_is_told_the_trace_of_its_call(tmp_path: Path) -> None:
    spans = Spans()
    seen: list[str] = []

    async def story(w: Running) -> None:
        http = w.worker._connections._http
        send = http.send

        async def watched(url: str, **how: Any) -> Any:
            seen.append(how["headers"].get("traceparent", ""))
            return await send(url, **how)

        http.send = watched  # type: ignore[method-assign]  # a double
        await w.take(record_of(customer(), "a", traceparent=PARENT))
        await applied(w)

    play(tmp_path, spans, story)
    calls = [s for s in spans.exporter.get_finished_spans() if s.kind is SpanKind.CLIENT]
    sent = {f"{s.context.trace_id:032x}-{id_of(s)}" for s in calls if s.context}
    assert sent <= {one.split("-", 1)[1].rpartition("-")[0] for one in seen}
    assert any(TRACE in one for one in sent)


def test_what_the_producer_did_not_keep_is_not_kept(tmp_path: Path) -> None:
    spans = Spans()

    async def story(w: Running) -> None:
        await w.take(record_of(customer(), "a", traceparent=UNSAMPLED))
        await applied(w)
        await told(w, spans)

    play(tmp_path, spans, story)
    assert [s.name for s in spans.exporter.get_finished_spans() if s.parent] == []


def test_a_share_of_traces_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    """The choice is made from the trace's id, so that every worker makes the same one."""
    spans = Spans(sampler=ParentBased(TraceIdRatioBased(0.5)))

    async def story(w: Running) -> None:
        many = [record_of(customer(str(100_000 + n)), f"e{n}") for n in range(12)]
        await w.take(*many)
        for n in range(12):
            await w.until(lambda n=n: w.state(f"e{n}") == "applied", "it is applied")  # type: ignore[misc]  # the default binds it in the loop

    play(tmp_path, spans, story)
    begun = {id_of(span) for span in spans.named("ingest moment.customers")}
    assert 0 < len(begun) < 12
    assert {parent_of(span) for span in spans.named("attempt")} == begun


def test_no_name_number_or_secret_is_in_a_span(tmp_path: Path) -> None:
    spans = Spans()

    async def story(w: Running) -> None:
        await w.take(record_of(customer(), "a"))
        await applied(w)
        await told(w, spans)

    play(tmp_path, spans, story)
    told_all = " ".join(span.to_json() for span in spans.exporter.get_finished_spans())
    assert INTEGRATION in told_all
    for never in ("Vík", "token-vik", "100042", "bokhald"):
        assert never not in told_all


def test_switched_off_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys\nimport streams.ops.cli, streams.worker, streams.app\n"
        "from streams.tracing import tracing_of\n"
        "assert tracing_of('off', '0', None) is None\n"
        "sys.exit(any(name.split('.')[0] == 'opentelemetry' for name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == 0


def test_switched_on_without_the_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing_module, "_installed", lambda _: False)
    with pytest.raises(TracesError, match=r"pip install 'moment-sync\[traces\]'"):
        tracing_of("otlp", "0", SystemClock())


@pytest.mark.parametrize("traces", ["otlp", "console"])
def test_each_kind_of_traces_can_be_made_and_closed(traces: str) -> None:
    made = tracing_of(traces, "0", SystemClock())
    assert made is not None
    made.close()


def test_spans_say_which_version_they_are_of() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_for("1.2.3", exporter)
    provider.get_tracer("t").start_span("x").end()
    provider.shutdown()
    found = exporter.get_finished_spans()[0].resource.attributes
    assert (found["service.name"], found["service.version"]) == ("moment-sync", "1.2.3")
