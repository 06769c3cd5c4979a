"""The numbers: closed names and labels, few series, right values, next to no cost."""

import ast
import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from connectors.attempts import Exchange
from connectors.integrations import Integration, System
from schemas.wire import Outgoing
from streams.metrics import Kind, Label, Metric, Unit
from streams.metrics_meters import Meters, Spread
from streams.ports import OutboxRow
from tests.observability.running import INTEGRATION, Running, customer, play, record_of

ROOT = Path(__file__).parents[2]
# What a name must end with, by what it counts.
ENDINGS = {Unit.SECONDS: "_seconds", Unit.BYTES: "_bytes", Unit.TIMESTAMP: "_seconds"}
# What tells one company, person or entity from another; an integration's id is set up by us.
NEVER_LABELS = {"company", "customer", "number", "entity", "name", "delivery", "event", "path"}

Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples(page: str) -> dict[Sample, float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }


def value(found: dict[Sample, float], metric: Metric, suffix: str = "", **labels: str) -> float:
    return found[f"{metric.spec.name}{suffix}", tuple(sorted(labels.items()))]


@pytest.mark.parametrize("metric", list(Metric))
def test_a_name_says_what_it_counts(metric: Metric) -> None:
    spec = metric.spec
    bare = spec.name.removesuffix("_total")
    assert re.fullmatch(r"(moment_sync|process)_[a-z][a-z_]*[a-z]", bare)
    assert (spec.kind is Kind.COUNTER) == spec.name.endswith("_total")
    assert bare.endswith(ENDINGS.get(spec.unit, ""))
    assert spec.help.strip(".") == spec.help
    assert bool(spec.bounds) == (spec.kind is Kind.HISTOGRAM)
    assert list(spec.bounds) == sorted(spec.bounds)


def test_names_are_unlike() -> None:
    names = [metric.spec.name for metric in Metric]
    assert len(names) == len(set(names))
    assert len(Metric.__members__) == len(list(Metric)), "no two are the same"


def test_no_label_tells_companies_people_or_entities_apart() -> None:
    assert {label.value for label in Label} & NEVER_LABELS == set()


def test_every_label_is_of_use() -> None:
    assert {label for metric in Metric for label in metric.spec.labels} == set(Label)


def test_only_the_page_knows_the_library_so_nothing_else_can_be_emitted() -> None:
    knows = [
        str(path.relative_to(ROOT))
        for top in ("schemas", "connectors", "streams")
        for path in (ROOT / top).rglob("*.py")
        if re.search(r"^\s*(import|from) prometheus_client", path.read_text(), re.MULTILINE)
    ]
    assert knows == ["streams/metrics_page.py"]
    tree = ast.parse((ROOT / "streams/metrics_page.py").read_text())
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    assert [one for one in texts if isinstance(one, str) and one.startswith("moment_sync")] == []


def page_of(directory: Path, events: int) -> tuple[str, str]:
    """The page of a worker that was sent so many customers, a duplicate and three letters."""
    pages: list[str] = []

    async def story(w: Running) -> None:
        pages.append((await asyncio.to_thread(w.asked, "metrics"))[1])
        first = record_of(customer(), "c0")
        await w.take(first, *(record_of(customer(f"2000{n}"), f"c{n}") for n in range(1, events)))
        await w.take(first, record_of(customer("1", "c-of-nobody"), "x"))
        for n in range(events):
            await w.until(lambda n=n: w.state(f"c{n}") == "applied", "it is applied")  # type: ignore[misc]  # the default binds it in the loop
        await w.published()
        await asyncio.to_thread(w.web._looker.read_ledger)
        await w.until(lambda: w.worker.dispatcher.in_flight == 0, "all have ended")
        pages.append((await asyncio.to_thread(w.asked, "metrics"))[1])

    play(directory, story)
    return pages[0], pages[1]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return page_of(tmp_path_factory.mktemp("worker"), 3)


def test_the_page_tells_every_metric_and_no_other(pages: tuple[str, str]) -> None:
    for page in pages:
        told = re.findall(r"^# HELP (\S+) (.+)$", page, re.MULTILINE)
        assert [name for name, _ in told] == [metric.spec.name for metric in Metric]
        for (_, text), metric in zip(told, Metric, strict=True):
            assert text == f"{metric.spec.help} ({metric.spec.unit.value})"
    allowed = {metric.spec.name for metric in Metric} | {
        f"{metric.spec.name}_{suffix}"
        for metric in Metric
        if metric.spec.kind is Kind.HISTOGRAM
        for suffix in ("bucket", "sum", "count")
    }
    assert {name for name, _ in samples(pages[1])} <= allowed


def test_what_happened_is_counted(pages: tuple[str, str]) -> None:
    found = samples(pages[1])
    vik = {"integration": INTEGRATION}
    assert value(found, Metric.EVENTS, kind="event") == 3
    assert value(found, Metric.EVENTS, kind="duplicate") == 1
    assert value(found, Metric.EVENTS, kind="letter") == 1
    send = {**vik, "system": "dkplus", "kind": "send"}
    assert value(found, Metric.ATTEMPTS, **send, verdict="applied") == 3
    calls = {**vik, "system": "dkplus"}
    assert value(found, Metric.CALLS, **calls, kind="read", answer="2xx") >= 1
    assert value(found, Metric.CALL_TIME, "_count", system="dkplus", kind="read") >= 1
    assert value(found, Metric.DELIVERY_TIME, "_count", system="dkplus") == 3
    assert value(found, Metric.OUTCOMES, outcome="applied") == 3
    letters = {"integration": "", "class": "set-up", "code": "company-unknown"}
    assert value(found, Metric.DEAD_LETTERS, **letters) == 1
    assert value(found, Metric.PUBLISHED, topic="moment-sync.results") == 3
    assert value(found, Metric.BATCH, "_count") == value(found, Metric.COMMIT_TIME, "_count") > 3


def test_what_is_now_is_told(pages: tuple[str, str]) -> None:
    found = samples(pages[1])
    vik = {"integration": INTEGRATION}
    assert value(found, Metric.IN_FLIGHT, **vik) == 0
    assert value(found, Metric.BOUND, **vik) >= 2
    assert value(found, Metric.LIMIT) == 300
    assert value(found, Metric.BREAKER, **vik, phase="closed") == 1
    assert value(found, Metric.BREAKER, **vik, phase="open") == 0
    assert value(found, Metric.LANES) == value(found, Metric.PARTITIONS) == 4
    assert value(found, Metric.OUTBOX) == 0
    assert value(found, Metric.OUTBOX_AGE) == 0
    assert value(found, Metric.READY) == 1
    assert value(found, Metric.PROBLEM, kind="ledger-unwritable") == 0
    assert value(found, Metric.SAMPLED) > 1_600_000_000
    assert value(found, Metric.PROCESS_MEMORY) > 10_000_000
    assert value(found, Metric.PROCESS_START) > 1_600_000_000
    build = next(labels for name, labels in found if name == Metric.BUILD.spec.name)
    assert dict(build)["version"] == "0.1.0"


def test_more_customers_are_not_more_series(tmp_path: Path, pages: tuple[str, str]) -> None:
    many = page_of(tmp_path, 12)[1]
    assert set(samples(many)) == set(samples(pages[1]))


def test_what_stands_in_the_ledger_is_told_with_its_age(tmp_path: Path) -> None:
    pages: list[str] = []

    async def story(w: Running) -> None:
        await w.take(record_of(customer(), "a"))
        await w.until(lambda: w.state("a") == "applied", "it is applied")
        await asyncio.to_thread(w.web._looker.read_ledger)
        pages.append((await asyncio.to_thread(w.asked, "metrics"))[1])

    play(tmp_path, story)
    found = samples(pages[0])
    assert value(found, Metric.OUTBOX) == 1
    assert 0 < value(found, Metric.OUTBOX_AGE) < 60


def test_a_spread_counts_below_each_bound() -> None:
    spread = Spread((1.0, 2.0))
    for given in (0.5, 1.0, 1.5, 7.0):
        spread.note(given)
    assert spread.counts == [2, 1, 1]
    assert spread.total == 10.0


# Of 180 µs that an event may cost in all; a busy machine takes several times what a free one does.
COST_S = 30e-6
EVENTS = 20_000


def test_an_event_costs_next_to_nothing() -> None:
    """Two calls, an attempt, an outcome, and its share of a commit."""
    meters = Meters(time.monotonic)
    whose = Integration(
        id="a",
        company="c",
        system=System.DKPLUS,
        base_url="https://books.example",
        data=frozenset(),
        notify="a@b.example",
    )
    exchange = Exchange(kind="read", method="GET", target="/", status=200, seconds=0.05)
    attempt: Any = _Attempt()
    row = OutboxRow(
        position=1,
        record=Outgoing(
            topic="moment-sync.results",
            key=b"k",
            value=b"{}",
            headers=(
                ("ce_specversion", b"1.0"),
                ("ce_id", b"i"),
                ("ce_source", b"s"),
                ("ce_type", b"moment-sync.delivery.applied"),
            ),
        ),
    )
    best = 1.0
    for _ in range(3):
        began = time.process_time()
        for _ in range(EVENTS):
            meters.called(whose, exchange)
            meters.called(whose, exchange)
            meters.attempted(attempt)
            meters.published((row,))
        best = min(best, (time.process_time() - began) / EVENTS)
    assert best < COST_S


class _Delivery:
    integration, system, attempts, received_at = "a", "dkplus", 0, 0.0


class _Attempt:
    """As cheap to read as a settlement."""

    def __init__(self) -> None:
        from streams.core.conclude import Result, What
        from streams.core.states import State
        from streams.ledger.rules import Moment

        self.delivery = _Delivery()
        self.result = Result(what=What.APPLIED)
        self.state = State.SENDING
        self.kind = "send"
        self.now = Moment(wall=1.0, elapsed=1.0, boot="")
