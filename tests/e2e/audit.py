"""What must be true of everything that came out, whatever went in."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from tests.e2e.scene import Scene
from tests.e2e.wire import FAILURES, RESULTS, Letter, Told

PUBLISHED = Path(__file__).parents[2] / "schemas" / "published"
LANGUAGES = {"en", "nb", "is"}
CLASSES = {"transient", "uncertain", "data", "set-up", "access", "defect"}
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RFC3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
FINAL = {"applied", "unchanged", "superseded", "stale", "manual", "discarded", "dead"}
NOT_FINAL = {"blocked", "held", "retrying"}
FAILED = NOT_FINAL | {"dead"}
ALWAYS = {
    *("deliveryId", "outcome", "final", "company", "integration", "system", "entity", "event"),
    *("attempts", "receivedAt", "settledAt"),
}
SOMETIMES = {"reference", "warnings", "replayOf", "withdraws"}
OF_KIND = {"superseded": {"supersededBy"}, "manual": {"manual"}} | {k: {"failure"} for k in FAILED}
LETTER_ALWAYS = {
    *("letter-id", "code", "class", "text", "action"),
    *("original-topic", "original-partition", "original-offset", "original-timestamp"),
}
LETTER_OF_DELIVERY = LETTER_ALWAYS | {
    *("delivery-id", "company", "integration", "system", "entity", "attempts"),
    *("first-failed-at", "last-failed-at", "replay-count", "version"),
}
LETTER_KNOWN = LETTER_OF_DELIVERY | {"field", "blocked-by", "response", "trace"}
HEADERS_MAX = 64 * 1024
WITHOUT_DELIVERY = {
    *("event-unreadable", "event-invalid", "event-type-unknown", "event-id-reused"),
    "company-unknown",
}


def problems(scene: Scene) -> list[str]:
    """Every rule that an outcome, a letter or a call to the books has broken."""
    wire = scene.wire
    found = [text for one in wire.told for text in _outcome(one, scene)]
    found += [text for letter in wire.letters for text in _letter(letter)]
    found += list(_finals(wire.told))
    found += list(_letters_and_dead(wire.told, wire.letters))
    found += [str(v) for v in scene.books.sb1("violations")]
    return found + [str(v) for v in scene.books.dk("violations")["violations"]]


def _validator() -> Validator:
    schema = json.loads((PUBLISHED / "outcome.schema.json").read_text(encoding="utf-8"))
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(schema, format_checker=checker)


VALIDATOR = _validator()


def _outcome(told: Told, scene: Scene) -> Iterator[str]:
    data, kind = told.data, told.kind
    name = f"{kind} of {data['event']['id']}"
    for error in VALIDATOR.iter_errors(data):
        yield f"{name}: {error.message}"
    needed = ALWAYS | OF_KIND.get(kind, set())
    if not needed <= set(data) <= needed | SOMETIMES:
        yield f"{name} has {sorted(data)}"
    if data["final"] != (kind in FINAL):
        yield f"{name}: final is {data['final']}"
    if told.topic != (FAILURES if kind in FAILED else RESULTS):
        yield f"{name} is on {told.topic}"
    headers = {
        "ce_specversion": "1.0",
        "ce_type": f"moment-sync.delivery.{kind}",
        "ce_source": f"/moment-sync/{scene.settings['GROUP']}",
        "content-type": "application/json",
    }
    for header, value in headers.items():
        if told.header(header) != value:
            yield f"{name}: {header} is {told.header(header)}"
    if told.key != f"{data['company']}/{data['entity']['customerNumber']}".encode():
        yield f"{name} has key {told.key!r}"
    for member in ("receivedAt", "settledAt"):
        if RFC3339_UTC.fullmatch(data[member]) is None:
            yield f"{name}: {member} is {data[member]}"
    yield from (f"{name}: {text}" for text in _failure(told))


def _failure(told: Told) -> Iterator[str]:
    failure = told.data.get("failure")
    if failure is None:
        return
    if CODE.fullmatch(failure["code"]) is None or failure["class"] not in CLASSES:
        yield f"code {failure['code']}, class {failure['class']}"
    if set(failure["languages"]) != LANGUAGES:
        yield f"languages {sorted(failure['languages'])}"
    if {"text": failure["text"], "action": failure["action"]} not in failure["languages"].values():
        yield "text and action are in none of the languages"
    if not all(words["text"] and words["action"] for words in failure["languages"].values()):
        yield "an empty text"
    if "{" in json.dumps(list(failure["languages"].values()))[2:].replace('{"text"', ""):
        yield f"a parameter was not filled in: {failure['languages']}"


def _letter(letter: Letter) -> Iterator[str]:
    said = letter.said
    name = f"letter {said.get('code')} of {said.get('original-topic')}"
    needed = LETTER_OF_DELIVERY if "delivery-id" in said else LETTER_ALWAYS
    if not needed <= set(said) <= LETTER_KNOWN:
        yield f"{name}: {sorted(set(said) ^ needed)}"
    if said.get("class") not in CLASSES:
        yield f"{name}: class {said.get('class')}"
    if ("delivery-id" in said) == (said.get("code") in WITHOUT_DELIVERY):
        yield f"{name} with delivery {said.get('delivery-id')}"
    if sum(len(n) + 12 + len(v.encode()) for n, v in said.items()) >= HEADERS_MAX:
        yield f"{name}: too many headers"


def _finals(told: list[Told]) -> Iterator[str]:
    """One final outcome a delivery; after that only such as replace the last one."""
    by_id: dict[str, Told] = {}
    last: dict[str, str] = {}
    for one in told:
        outcome_id, delivery = str(one.header("ce_id")), str(one.data["deliveryId"])
        if outcome_id in by_id:
            if by_id[outcome_id].data != one.data:
                yield f"two outcomes have the id {outcome_id}"
            continue
        by_id[outcome_id] = one
        if one.data.get("replayOf") not in (None, last.get(delivery)):
            yield f"{outcome_id} replaces {one.data['replayOf']}, not {last.get(delivery)}"
        if one.data["final"] and delivery in last and "replayOf" not in one.data:
            yield f"{outcome_id} is final after {last[delivery]}"
        if one.data["final"]:
            last[delivery] = outcome_id


def _letters_and_dead(told: list[Told], letters: list[Letter]) -> Iterator[str]:
    dead = {(t.data["deliveryId"], t.code) for t in told if t.kind == "dead"}
    kept = {(x.said["delivery-id"], x.said["code"]) for x in letters if "delivery-id" in x.said}
    yield from (f"dead without a letter: {pair}" for pair in sorted(dead - kept, key=str))
    yield from (f"a letter without an outcome: {pair}" for pair in sorted(kept - dead))
