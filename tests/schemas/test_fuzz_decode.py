"""No record, whatever it holds, may stop its partition."""

import os

from hypothesis import given, settings

from schemas.codec import Event, decode
from schemas.content import decode_data, encode_data
from tests.schemas.fuzz import mutated_trees, run
from tests.schemas.samples import binary

# Short in the suite; `MOMENT_SYNC_FUZZ_EXAMPLES=100000` for the long form.
EXAMPLES = int(os.environ.get("MOMENT_SYNC_FUZZ_EXAMPLES", "300"))


def test_no_record_makes_a_reader_raise() -> None:
    run(EXAMPLES)


@settings(max_examples=EXAMPLES, deadline=None)
@given(mutated_trees())
def test_what_is_taken_is_the_same_after_writing_and_reading(mutated: tuple[str, object]) -> None:
    kind, tree = mutated
    event = decode(binary(tree, kind))
    if isinstance(event, Event):
        again = decode_data(event.entity_type, encode_data(event.data))
        assert again == event.data
