"""How the simulated accounting systems misbehave in a run, within what the settings allow for."""

from collections.abc import Mapping
from typing import Any, Final

from streams.ops.demo.companies import Kind

DEADLINE_S: Final = 2.0  # the workers' SPAREBANK1_TIMEOUT and DKPLUS_TIMEOUT
SLOW_S: Final = DEADLINE_S + 0.3  # answers when nobody waits any more; below deadline and settle
LATER_S: Final = 1.2  # commits after the line was cut; below the settle time
HOLD_S: Final = 5.0  # silent for longer than the deadline
LAG_S: Final = 0.8  # what look-ups do not show yet; what is left of the settle time is longer

_WRITES: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.SPAREBANK1: ("voucher.book", "customer.create", "customer.update", "project.*"),
    Kind.DKPLUS: (
        "invoice.create",
        "customer.create",
        "customer.update",
        "project.create",
        "product.create",
    ),
}
# Of every write; together about one in seven goes wrong.
_OF_WRITES: Final[tuple[Mapping[str, Any], ...]] = (
    {"fault": "commit-no-answer", "probability": 0.02, "seconds": HOLD_S},
    {"fault": "commit-later", "probability": 0.02, "seconds": LATER_S},
    {"fault": "reset-before", "probability": 0.02},
    {"fault": "reset-after", "probability": 0.02},
    {"fault": "server-error", "probability": 0.015},
    {"fault": "server-error", "probability": 0.015, "commit": True},
    {"fault": "unavailable", "probability": 0.01, "retry_after": "seconds"},
    {"fault": "too-many", "probability": 0.01, "retry_after": "seconds"},
    {"fault": "slow", "probability": 0.015, "seconds": SLOW_S},
    {"fault": "truncated-json", "probability": 0.01},
    {"fault": "broken-off", "probability": 0.01},
)
# Of every call that is left.
_OF_ALL: Final[tuple[Mapping[str, Any], ...]] = (
    {"fault": "lagging", "method": "GET", "probability": 0.1, "seconds": LAG_S},
    {"fault": "reset-before", "method": "GET", "probability": 0.01},
    {"fault": "server-error", "method": "GET", "probability": 0.01},
    {"fault": "slow", "method": "GET", "probability": 0.005, "seconds": SLOW_S},
    {"fault": "truncated-json", "method": "GET", "probability": 0.005},
    {"fault": "too-many", "probability": 0.005, "retry_after": "http-date"},
    {"fault": "unauthorised", "probability": 0.003},
    {"fault": "forbidden", "probability": 0.001},
)


def rules_of(kind: Kind, share: float = 1.0) -> list[dict[str, Any]]:
    """The faults of one accounting system, as its admin side and its configuration take them."""
    writes = [{**rule, "kind": call} for call in _WRITES[kind] for rule in _OF_WRITES]
    return [
        {**rule, "probability": rule["probability"] * share}
        for rule in (*writes, *map(dict, _OF_ALL))
    ]


def configuration_of(kind: Kind, seed: int, share: float = 1.0) -> dict[str, Any]:
    """What stands over the configuration of a simulator: faults, seed, and how unkind it is.

    `share`: of the faults that there are in a short run. Most of a second goes by at each of
    them: a run of many events would be nothing but waiting.
    """
    changes: dict[str, Any] = {"faults": rules_of(kind, share), "seed": seed}
    if seed % 2 == 0:
        return changes
    return {**changes, **_HOSTILE[kind]}


# Hostile look-ups in DK+ lag by five seconds: that would need a longer settle time than ours. Its
# other rounding moves cents, which the outcome warns of: what an amount must be would be open.
_HOSTILE: Final[Mapping[Kind, Mapping[str, Any]]] = {
    Kind.SPAREBANK1: {"hostile": True},
    Kind.DKPLUS: {
        "preset": "hostile",
        "switches": {"look_up_lag_seconds": 0.4, "rounding": "line"},
    },
}
