"""Stories from the ledger, as documents and as lines for people."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from streams.ledger.story import Line, Story
from streams.ops import console_output as out
from streams.ops.ledger_view import at

# Facts in one line for people; the rest is in --json.
SHOWN_CHARACTERS: Final = 160
_FIRST: Final = ("integration", "outcome", "state", "verdict", "kind", "id", "by", "reason")


def lines(story: Story) -> list[dict[str, Any]]:
    """A story as documents show it: `at`, `what`, and what is known of it."""
    return [shown_line(line) for line in story.lines]


def shown_line(line: Line) -> dict[str, Any]:
    """One line of a story as documents show it."""
    known = {name: value for name, value in line.facts.items() if value is not None}
    return {"at": at(line.at), "what": line.what, **known}


def tell_lines(shown: Sequence[Mapping[str, Any]]) -> None:
    """One line each, in order of time; calls are shown under their attempt."""
    for line in shown:
        out.text(f"{line['at'][:23]:<24}{line['what']:<10}{out.harmless(_facts(line))}")
        for call in line.get("exchanges", ()):
            answer = call.get("status", call.get("no_answer"))
            out.text(out.harmless(f"{'':<34}{call['method']} {call['target']} → {answer}"))


def _facts(line: Mapping[str, Any]) -> str:
    named = [str(line[name]) for name in _FIRST if name in line]
    failure = line.get("failure")
    if isinstance(failure, dict):
        named.append(str(failure.get("text") or failure.get("code")))
    named += [
        f"{name} {msgspec.json.encode(line[name]).decode()}"
        for name in ("waitsFor", "waitedFor", "reference", "edit", "refusal")
        if name in line
    ]
    return " · ".join(named)[:SHOWN_CHARACTERS]
