"""What the worker of a contender in Python is told: one JSON argument. Nothing but msgspec."""

import msgspec


class WorkerPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where to read, call and write; `tokens` by company; `ready`: the file to make when ready."""

    bootstrap: str
    group: str
    input: str
    results: str
    base_url: str
    tokens: dict[str, str]
    in_flight: int
    partitions: int
    ready: str
