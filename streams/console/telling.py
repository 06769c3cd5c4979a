"""Lines of a story as entries of a time line, for people. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.failures import Failure
from streams.console.wording import say, short
from streams.ledger.rows import StoredDelivery
from streams.ledger.story import Line

_failure: Final = msgspec.json.Decoder(Failure, strict=False)

# What is said of a state, and how it is felt: well, waiting, wrong or done with.
STATES: Final[dict[str, tuple[str, str]]] = {
    "ready": ("ready to be sent", "wait"),
    "waiting": ("waiting", "wait"),
    "blocked": ("blocked", "warn"),
    "due": ("to be tried again", "warn"),
    "sending": ("being sent", "wait"),
    "uncertain": ("uncertain: the books are being asked", "warn"),
    "applied": ("in the books", "good"),
    "unchanged": ("unchanged: nothing to write", "good"),
    "superseded": ("superseded by a newer state", "calm"),
    "stale": ("stale: a newer state came first", "calm"),
    "manual": ("to be done by hand", "warn"),
    "discarded": ("discarded", "calm"),
    "withdrawn": ("withdrawn: a newer state took its place", "calm"),
    "dead": ("dead", "bad"),
    "replayed": ("replayed", "calm"),
    "retrying": ("being tried again", "warn"),
    "held": ("held", "warn"),
}

_WHAT: Final[dict[str, tuple[str, str]]] = {
    "event": ("Event came", "calm"),
    "delivery": ("Delivery opened", "calm"),
    "attempt": ("Attempt", "wait"),
    "outcome": ("Outcome", "calm"),
    "booked": ("Booked", "good"),
    "replayed": ("Replayed", "act"),
    "discarded": ("Discarded", "act"),
    "opened": ("Opened by a replay", "act"),
    "refused": ("Refused", "act"),
    "resumed": ("Resumed", "act"),
    "resynced": ("Brought over anew", "act"),
    "failed": ("A command failed", "bad"),
}
_GOOD_VERDICTS: Final = frozenset({"applied", "unchanged", "found"})
_BAD_VERDICTS: Final = frozenset({"refused", "dead"})


class Call(msgspec.Struct, frozen=True):
    """One request and its answer."""

    method: str
    target: str
    answer: str
    ok: bool
    seconds: float
    request: str
    body: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `waits_for` is like `customer/100042`."""

    at: float
    what: str
    title: str
    tone: str
    integration: str | None
    facts: tuple[tuple[str, str], ...]
    text: str = ""
    action: str = ""
    waits_for: str | None = None
    calls: tuple[Call, ...] = ()


def state_words(state: str) -> tuple[str, str]:
    """What is said of a state, and its tone."""
    return STATES.get(state, (state, "calm"))


def entries(
    lines: Iterable[Line], language: str, systems: Mapping[str, str | None], entity: str
) -> list[Entry]:
    """A story's lines, newest last, in the reader's language where they are about a failure."""
    return [_entry(line, language, systems, entity) for line in lines]


def _entry(line: Line, language: str, systems: Mapping[str, str | None], entity: str) -> Entry:
    facts = line.facts
    title, tone = _WHAT.get(line.what, (line.what.capitalize(), "calm"))
    integration = facts.get("integration")
    text = action = ""
    failure = _failure_in(facts)
    if failure is not None:
        said = say(failure, language, systems.get(str(integration)), entity)
        text, action = said.text, said.action
    if line.what == "outcome":
        words, tone = state_words(str(facts.get("outcome")))
        title = f"Told: {words}"
    elif line.what == "delivery":
        words, _ = state_words(str(facts.get("state")))
        title = f"Delivery opened; now {words}"
        _, tone = state_words(str(facts.get("state")))
        text = action = ""  # the outcome says it
    elif line.what == "attempt":
        title, tone = _attempt(str(facts.get("verdict", "")))
    elif line.what == "refused":
        text = str((facts.get("refusal") or {}).get("text", ""))
    return Entry(
        at=line.at,
        what=line.what,
        title=title,
        tone=tone,
        integration=None if integration is None else str(integration),
        facts=tuple(_facts(line.what, facts)),
        text=text,
        action=action,
        waits_for=facts.get("waitsFor"),
        calls=tuple(call_of(one) for one in facts.get("exchanges") or ()),
    )


def _attempt(verdict: str) -> tuple[str, str]:
    first, _, code = verdict.partition(" ")
    words, tone = state_words(first)
    verdict, words = first, f"{words} {code}".strip()
    if verdict in _GOOD_VERDICTS:
        tone = "good"
    elif verdict in _BAD_VERDICTS:
        tone = "bad"
    elif tone == "calm":
        tone = "wait"
    return f"Attempt: {words}", tone


def _failure_in(facts: Mapping[str, Any]) -> Failure | None:
    told = facts.get("failure")
    if not isinstance(told, dict) or "code" not in told:
        return None
    kept = {name: told[name] for name in ("code", "parameters", "field", "answer") if name in told}
    try:
        return msgspec.convert(kept, Failure)
    except msgspec.ValidationError:
        return None


def _facts(what: str, facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if what == "event":
        place = f"{facts.get('topic')}/{facts.get('partition')} @ {facts.get('offset')}"
        yield from short(facts, "type", "id", "source", "sequence")
        yield "place", place
    elif what == "attempt":
        yield from short(facts, "kind")
    else:
        yield from short(facts, "by", "reason")
    reference = facts.get("reference")
    if isinstance(reference, dict) and reference.get("number"):
        yield "number in the books", str(reference["number"])
    failure = facts.get("failure")
    if isinstance(failure, dict) and what != "delivery":
        yield from short(failure, "code", "field")
    for warning in facts.get("warnings") or ():
        yield "warning", str(warning.get("text", ""))
    manual = facts.get("manual")
    if isinstance(manual, dict):
        yield "by hand", str(manual.get("text", ""))
    yield from edited(facts)


def edited(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What an edit changed, member by member, from what the audit keeps of it."""
    for change in facts.get("edit") or ():
        before, after = change.get("from") or "(empty)", change.get("to") or "(emptied)"
        yield f"edited {change.get('field', '')}", f"{before} → {after}"


def call_of(exchange: Mapping[str, Any]) -> Call:
    """One request as the ledger keeps it."""
    status = exchange.get("status")
    no_answer = " ".join(
        str(exchange[name]) for name in ("no_answer", "reason") if exchange.get(name)
    )
    return Call(
        method=str(exchange.get("method", "")),
        target=str(exchange.get("target", "")),
        answer=str(status) if status is not None else f"no answer ({no_answer})",
        ok=status is not None and 200 <= int(status) < 300,  # noqa: PLR2004 - HTTP's own
        seconds=float(exchange.get("seconds", 0.0)),
        request=str(exchange.get("request", "")),
        body=str(exchange.get("answer", "")),
    )


def last_answer(delivery: StoredDelivery | None, lines: Sequence[Line]) -> str:
    """What the accounting system said last: what the failure quotes, else the newest answer."""
    if delivery is not None and delivery.failure is not None and delivery.failure.answer:
        return delivery.failure.answer
    for line in reversed(lines):
        for exchange in reversed(line.facts.get("exchanges") or ()):
            call = call_of(exchange)
            return f"{call.method} {call.target}\n{call.answer} {call.body}".strip()
    return ""
