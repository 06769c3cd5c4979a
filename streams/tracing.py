"""Traces: off unless the setting TRACES says otherwise, and then OpenTelemetry is needed.

What is traced is wrapped where a worker is put together; switched off, nothing is, and nothing of
OpenTelemetry is imported.
"""

import importlib.util
from typing import TYPE_CHECKING, Final

from connectors.port import Clock

if TYPE_CHECKING:
    from streams.tracing_spans import Tracing

OFF: Final = "off"
OTLP: Final = "otlp"
CONSOLE: Final = "console"
_NEEDED: Final = {
    OTLP: ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    CONSOLE: ("opentelemetry.sdk",),
}


class TracesError(Exception):
    """Traces are switched on, and what they need is not installed. Its text says what to do."""


def tracing_of(traces: str, version: str, clock: Clock) -> "Tracing | None":
    """What traces a worker, None where TRACES is off. Raises `TracesError`.

    Where to send spans and how many to keep is said by OpenTelemetry's own variables
    (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES).
    """
    if traces == OFF:
        return None
    if any(not _installed(name) for name in _NEEDED[traces]):
        raise TracesError(
            f"MOMENT_SYNC_TRACES is {traces}, and OpenTelemetry is not installed: "
            "pip install 'moment-sync[traces]', or set it to off"
        )
    from streams import tracing_spans as spans  # noqa: PLC0415 - only where it is on

    exporter = spans.to_collector() if traces == OTLP else spans.to_console()
    return spans.Tracing(spans.provider_for(version, exporter), clock)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
