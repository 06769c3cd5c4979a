"""The numbers of a worker in Prometheus' text format: all of `Metric`, and nothing else."""

import math
import platform
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from connectors.breaker import Phase
from streams.metrics import Kind, Metric, Spec
from streams.metrics_meters import Spread
from streams.pruning import LANE as PRUNING_LANE
from streams.web.health import ProblemKind
from streams.web.look import Looker, Watched
from streams.web.pulse import Pulse

_TOTAL: Final = "_total"
_INFINITE: Final = "+Inf"

Reading = tuple[Metric, tuple[str, ...], float]


class MetricsPage(Collector):
    """Puts the page together when it is asked for. Reads memory only."""

    def __init__(self, worker: Watched, looker: Looker, pulse: Pulse, version: str) -> None:
        self._worker = worker
        self._looker = looker
        self._pulse = pulse
        self._version = version
        self._process = ProcessCollector(registry=None)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The page."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Every metric, with what is known of it now."""
        values: dict[Metric, list[tuple[tuple[str, ...], float]]] = {}
        for metric, labels, value in self._readings():
            if len(labels) != len(metric.spec.labels):
                raise ValueError(f"{metric} has other labels than {labels}")
            values.setdefault(metric, []).append((labels, value))
        for metric in Metric:
            if metric.spec.kind is Kind.HISTOGRAM:
                spreads = list(self._worker.meters.spreads.get(metric, {}).items())
                yield _histogram(metric.spec, spreads)
            else:
                yield _family(metric.spec, values.get(metric, ()))

    def _readings(self) -> Iterator[Reading]:
        meters = self._worker.meters
        for metric, cells in list(meters.counts.items()):
            for labels, cell in list(cells.items()):
                yield metric, labels, float(cell.value)
        yield Metric.BUILD, (self._version, platform.python_version()), 1.0
        yield from self._of_worker()
        yield from self._of_integrations()
        yield from self._of_ledger()
        yield from self._of_process()

    def _of_worker(self) -> Iterator[Reading]:
        worker, pulse = self._worker, self._pulse
        desk = worker.dispatcher.desk
        yield Metric.LIMIT, (), float(worker.settings.in_flight)
        yield Metric.LANES, (), float(worker.dispatcher.lanes)
        yield Metric.PARTITIONS, (), float(desk.partitions)
        prunes = PRUNING_LANE in desk.active  # the look of a former owner is old
        yield Metric.RETENTION_ALARM, (), float(desk.lasting if prunes else 0)
        yield Metric.PRUNING_STOPPED, (), float(prunes and desk.pruning_stopped)
        yield Metric.LOOP_TASKS, (), float(len(desk.tasks))
        yield Metric.LOOP_DELAY, (), pulse.longest_delay
        for (topic, partition), behind in list(pulse.lag.items()):
            yield Metric.LAG, (topic, str(partition)), float(behind)
        found = {problem.kind for problem in self._looker.problems}
        for kind in ProblemKind:
            yield Metric.PROBLEM, (kind.value,), float(kind in found)
        yield Metric.READY, (), float(worker.ready and not worker.stopping and not found)

    def _of_integrations(self) -> Iterator[Reading]:
        elapsed = self._worker.dispatcher.desk.clock.elapsed()
        for name, tenant in self._looker.tenants().items():
            yield Metric.IN_FLIGHT, (name,), float(tenant.in_flight)
            yield Metric.BOUND, (name,), float(tenant.bound)
            pace = tenant.pace(elapsed)
            if pace < math.inf:
                yield Metric.PACE, (name,), pace
            for phase in Phase:
                yield Metric.BREAKER, (name, phase.value), float(tenant.phase is phase)
            hold = tenant.hold
            if hold is not None and hold.failure is not None:
                labels = name, hold.failure.code.value
                yield Metric.HELD, labels, 1.0
                yield Metric.HELD_SINCE, labels, hold.since or 0.0

    def _of_ledger(self) -> Iterator[Reading]:
        seen = self._looker.seen
        if seen is None:
            return
        now = self._worker.clock.now().timestamp()
        sums: dict[tuple[str, str], tuple[int, float]] = {}
        for one in seen.sample.deliveries:
            many, oldest = sums.get((one.integration, one.state), (0, one.oldest_at))
            key = one.integration, one.state
            sums[key] = many + one.many, min(oldest, one.oldest_at)
        for labels, (many, oldest) in sums.items():
            yield Metric.DELIVERIES, labels, float(many)
            yield Metric.OLDEST, labels, max(0.0, now - oldest)
        at = seen.sample.outbox_oldest_at
        yield Metric.OUTBOX, (), float(seen.sample.outbox)
        yield Metric.OUTBOX_AGE, (), 0.0 if at is None else max(0.0, now - at)
        yield Metric.COMMANDS, (), float(seen.sample.commands)
        yield Metric.SAMPLED, (), seen.wall

    def _of_process(self) -> Iterator[Reading]:
        ours = {metric.spec.name: metric for metric in Metric}
        for family in self._process.collect():
            for found in family.samples:
                if found.name in ours:
                    yield ours[found.name], (), found.value


def _family(spec: Spec, values: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    labels = [label.value for label in spec.labels]
    text = f"{spec.help} ({spec.unit.value})"
    if spec.kind is Kind.COUNTER:
        counter = CounterMetricFamily(spec.name.removesuffix(_TOTAL), text, labels=labels)
        for given, value in values:
            counter.add_metric(list(given), value)
        return counter
    gauge = GaugeMetricFamily(spec.name, text, labels=labels)
    for given, value in values:
        gauge.add_metric(list(given), value)
    return gauge


def _histogram(spec: Spec, spreads: Iterable[tuple[tuple[str, ...], Spread]]) -> Family:
    family = HistogramMetricFamily(
        spec.name,
        f"{spec.help} ({spec.unit.value})",
        labels=[label.value for label in spec.labels],
    )
    for given, spread in spreads:
        counts, below = list(spread.counts), 0
        buckets: list[tuple[str, float]] = []
        for bound, many in zip((*map(str, spread.bounds), _INFINITE), counts, strict=True):
            below += many
            buckets.append((bound, below))
        family.add_metric(list(given), buckets, spread.total)
    return family
