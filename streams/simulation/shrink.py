"""Cutting a history that found something down to what it needs for that."""

from collections.abc import Callable, Iterator

import msgspec

from streams.simulation.history import History
from streams.simulation.run import Report

TRIES_MAX = 400  # histories run for one that is cut

Play = Callable[[History], Report]
replace = msgspec.structs.replace


def shrink(history: History, rule: str, play: Play, tries: int = TRIES_MAX) -> History:
    """The smallest history found that still breaks `rule`. Runs at most `tries` histories."""
    left = tries
    best = replace(history, faults=play(history).faults)

    def breaks(candidate: History) -> bool:
        nonlocal left
        left -= 1
        return any(one.rule == rule for one in play(candidate).violations)

    if not breaks(best):
        best = history  # what goes wrong hangs on more than the faults that were seen
    cut = True
    while cut and left > 0:
        cut = False
        for candidate in _smaller(best):
            if left <= 0:
                break
            if breaks(candidate):
                best, cut = candidate, True
                break
    return best


def _smaller(history: History) -> Iterator[History]:
    """Histories with something taken out, the largest pieces first."""
    actions = history.actions
    size = len(actions) // 2
    while size:
        for start in range(0, len(actions), size):
            yield replace(history, actions=actions[:start] + actions[start + size :])
        size //= 2
    for place in range(len(history.strikes)):
        yield replace(history, strikes=_without(history.strikes, place))
    if history.mend:
        yield replace(history, mend=False)
    if history.workers > 1:
        yield replace(history, workers=history.workers - 1)
    if history.hosts > 1:
        yield replace(history, hosts=1)
    yield from _fewer_faults(history)
    for place, setup in enumerate(history.setups):
        used = any(getattr(action, "company", "") == setup.company for action in actions)
        if len(history.setups) > 1 and not used:
            yield replace(history, setups=_without(history.setups, place))
    for name in sorted(history.bad):
        yield replace(history, bad=history.bad - {name})


def _fewer_faults(history: History) -> Iterator[History]:
    faults = history.faults
    if not faults:
        return
    names = list(faults)
    yield replace(history, faults={})
    size = len(names) // 2
    while size:
        for start in range(0, len(names), size):
            kept = names[:start] + names[start + size :]
            yield replace(history, faults={name: faults[name] for name in kept})
        size //= 2


def _without(values: tuple[msgspec.Struct, ...], place: int) -> tuple[msgspec.Struct, ...]:
    return values[:place] + values[place + 1 :]
