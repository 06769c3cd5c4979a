"""Records that nobody would send, for the readers to survive.

`python -m tests.schemas.fuzz --examples 100000` runs the long form.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from schemas.arithmetic import refuse_invoice
from schemas.codec import DEFECT, Event, Unreadable, decode, decode_command
from schemas.commands import COMMAND_TYPES
from schemas.content import decode_data, encode_data
from schemas.deadletters import MAX_HEADERS_BYTES, Letter, encode_letter, headers_size
from schemas.events import Invoice
from schemas.failures import FACTS
from schemas.wire import Record
from tests.schemas.samples import SAMPLE, TYPE, attributes, binary, record, structured

numbers = st.one_of(
    st.integers(),
    st.integers(min_value=10**300, max_value=10**301),
    st.floats(allow_nan=True),
    st.decimals().map(str),
    st.sampled_from(["1e999999", "-1e-999999", "1_0", "٣", "", " 1 ", "0e99", "1" * 30]),
)
odd_texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["\0", " ", "HOURS", "inprogress", "2026-02-30", "x" * 300, "ﬀ", "K"]),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, odd_texts)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
kinds = st.sampled_from(sorted(SAMPLE))
CE_NAMES = [f"ce_{name}" for name in [*attributes(), "partitionkey", "tracestate", "data"]]
header_names = st.one_of(
    st.sampled_from([*CE_NAMES, "CE_ID", "content-type", "moment-sync-letter-id"]),
    st.text(max_size=12),
)
header_values = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(name.encode() for name in [*TYPE.values(), *COMMAND_TYPES, "1.0", "/moment/x"]),
            b"application/cloudevents+json",
        ]
    ),
)
headers = st.lists(st.tuples(header_names, header_values), max_size=8).map(tuple)


def _paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(tree, dict):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))
    return [at, *(path for key, inner in items for path in _paths(inner, (*at, key)))]


@st.composite
def mutated_trees(draw: st.DrawFn) -> tuple[str, Any]:
    """A valid event of a kind with up to three places replaced or taken away."""
    kind = draw(kinds)
    tree = json.loads(json.dumps(SAMPLE[kind]))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from([path for path in _paths(tree) if path] or [()]))
        if not path:
            break
        place = tree
        for step in path[:-1]:
            place = place[step]
        if draw(st.booleans()):
            place[path[-1]] = draw(trees)
        else:
            del place[path[-1]]
    return kind, tree


@st.composite
def mutated_bytes(draw: st.DrawFn) -> tuple[str, bytes]:
    """A valid event of a kind whose bytes were cut, repeated or overwritten."""
    kind, tree = draw(mutated_trees())
    value = json.dumps(tree, ensure_ascii=draw(st.booleans())).encode(errors="replace")
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(value) - 1, 0)))
        until = draw(st.integers(place, min(len(value), place + 20)))
        value = value[:place] + draw(st.binary(max_size=6)) + value[until:]
    return kind, value


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any record: from nearly right to nothing at all."""
    choice = draw(st.integers(0, 5))
    key = draw(st.none() | st.binary(max_size=20))
    if choice == 0:
        return record(draw(st.none() | st.binary(max_size=200)), draw(headers), key)
    if choice == 1:
        value = json.dumps(draw(trees)).encode()
        return record(value, (*binary({}, draw(kinds)).headers, *draw(headers)), key)
    if choice == 2:
        kind, tree = draw(mutated_trees())
        return structured(tree, kind, **{draw(st.sampled_from(sorted(attributes()))): draw(leaves)})
    if choice == 3:
        kind, tree = draw(mutated_trees())
        return binary(tree, kind)
    kind, data = draw(mutated_bytes())
    found = binary(data, kind) if choice == 4 else structured("D", kind)
    whole = (found.value or b"").replace(b'"D"', data) if choice == 5 else found.value
    return record(whole, (*found.headers, *draw(headers)), key)


def check(found: Record) -> None:
    """Whatever the record holds: a well-formed answer, and what follows from it holds too."""
    for read in (decode, decode_command):
        answer = read(found)
        if isinstance(answer, Unreadable):
            failure = answer.failure
            assert tuple(failure.parameters) == FACTS[failure.code][1]
            assert not failure.parameters.get("reason", "").startswith(DEFECT), answer
            letter = Letter(
                letter_id="l",
                code=failure.code,
                klass=failure.failure_class,
                text=failure.parameters.get("reason", ""),
                action="",
                version="0",
                company=answer.company,
                field=failure.field,
            )
            ours = encode_letter(letter, found).headers[len(found.headers) :]
            assert headers_size(ours) < MAX_HEADERS_BYTES
    event = decode(found)
    if isinstance(event, Event):
        assert event.key.decode()
        assert decode_data(event.entity_type, encode_data(event.data)) is not None
        if isinstance(event.data, Invoice):
            refuse_invoice(event.data)


def run(examples: int) -> None:
    """Run that many examples; raises with a small example of what is not survived."""
    bounded = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    test: Callable[[], None] = seed(0)(bounded(given(records())(check)))
    test()


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description="Readers survive any record.")
    parser.add_argument("--examples", type=int, default=100_000)
    run(parser.parse_args().examples)


if __name__ == "__main__":
    main()
