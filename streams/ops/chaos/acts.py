"""The plan of a run's mischief: what is done when, the same for the same seed. Pure."""

import random
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

KILLS: Final = frozenset(
    {"worker-kill", "worker-term", "broker-kill", "database-kill", "simulator-kill"}
)
# All workers at one moment, as when a host loses power: so many kills, and one recovery.
POWER_CUT: Final = "power-cut"
# Weights: workers most of all. A broker takes ten seconds to come back, all else one or two.
_KILLS: Final[Mapping[str, int]] = {
    "worker-kill": 5,
    "worker-term": 3,
    POWER_CUT: 3,
    "broker-kill": 1,
    "database-kill": 4,
    "simulator-kill": 3,
}
_OTHERS: Final = ("worker-stop", "disk-full", "simulator-stop", "clock-jump", "command")
# A worker that stands still: shortly, beyond send-by, beyond the group's session.
_STANDSTILLS_S: Final = (1.0, 6.0, 9.0, 14.0)
# An accounting system that stands still, and is slow besides, must be done within deadline and
# settle time: that is what the settings promise of it. For longer, one is killed.
_LENGTHS_S: Final[Mapping[str, tuple[float, float]]] = {
    "simulator-stop": (0.4, 1.2),
    "disk-full": (1.0, 4.0),
    "clock-jump": (1.0, 5.0),
    "command": (0.0, 0.0),
}
_AWAY_S: Final = (0.0, 2.0)  # how long a killed server stays away
_FIRST: Final = 0.06  # of the time: when everything is at work
_LAST: Final = 0.95
# When the ledger is copied and when the copy is put back, as parts of the time. A long run has
# two, of copies minutes old, and leaves the first half to books that are known for long.
LONG_S: Final = 300.0
_RESTORES: Final = ((0.3, 0.65),)
_RESTORES_LONG: Final = ((0.5, 0.6), (0.75, 0.85))
# When a data type is switched off and on again by SIGHUP.
_SWITCHED: Final = (0.2, 0.35)


class Act(msgspec.Struct, frozen=True):
    """Something to be done `at` seconds after the start."""

    at: float
    kind: str
    seconds: float = 0.0


def plan(kills: int, seconds: float, seed: int, *, workers: int, sqlite: bool) -> list[Act]:
    """Acts worth `kills` kills, about half as much of everything else, and restores."""
    chance = random.Random(f"mischief/{seed}")  # noqa: S311 - the same for the same seed
    acts = list(_kills(chance, kills, seconds, workers, sqlite=sqlite))
    for number in range(max(1, kills // 2) if kills else 0):
        kind = _OTHERS[number % len(_OTHERS)]
        acts.append(Act(_at(chance, seconds), kind, _length(kind, chance)))
    if kills > 1:
        for copied, put_back in _RESTORES_LONG if seconds >= LONG_S else _RESTORES:
            acts += [Act(copied * seconds, "copy"), Act(put_back * seconds, "restore")]
        off, on = _SWITCHED
        acts += [Act(off * seconds, "switch-off"), Act(on * seconds, "switch-on")]
    return sorted(acts, key=lambda act: act.at)


def _kills(
    chance: random.Random, kills: int, seconds: float, workers: int, *, sqlite: bool
) -> Iterator[Act]:
    kinds = [kind for kind in _KILLS if kind != "database-kill" or not sqlite]
    weights = [_KILLS[kind] for kind in kinds]
    left = kills
    while left > 0:
        (kind,) = chance.choices(kinds, weights)
        worth = workers if kind == POWER_CUT else 1
        if worth > left:
            continue
        left -= worth
        yield Act(_at(chance, seconds), kind, chance.uniform(*_AWAY_S))


def _at(chance: random.Random, seconds: float) -> float:
    return chance.uniform(_FIRST, _LAST) * seconds


def _length(kind: str, chance: random.Random) -> float:
    if kind == "worker-stop":
        return chance.choice(_STANDSTILLS_S)
    return chance.uniform(*_LENGTHS_S[kind])
