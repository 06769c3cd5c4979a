"""The seven topics: made once, checked at every start."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from streams import topics
from streams.kafka_client import KafkaConnection
from streams.topics import TopicNames, TopicState, judge

DAY_MS = 86_400_000
NAMES = TopicNames("p.")
AS_WE_WOULD = TopicState(
    partitions=12,
    retention_ms=30 * DAY_MS,
    max_message_bytes=1_048_588,
    cleanup_policy="delete",
)


def found(**changed: TopicState) -> dict[str, TopicState]:
    """All seven in order, but for those named by the last word of their name."""
    states = dict.fromkeys(NAMES.all, AS_WE_WOULD)
    states["p.moment-sync.deadletters"] = msgspec.structs.replace(
        AS_WE_WOULD, max_message_bytes=1_048_588 + 262_144
    )
    for word, state in changed.items():
        states[next(name for name in states if name.endswith(word))] = state
    return states


@pytest.mark.kafka
def test_topics_are_made_once_and_what_differs_is_told(
    kafka: KafkaConnection, topic_prefix: str
) -> None:
    names = TopicNames(topic_prefix)

    def create(partitions: int, days: int) -> topics.TopicsReport:
        return asyncio.run(
            topics.create(
                kafka, names, partitions=partitions, replication=-1, retention_s=days * 86_400
            )
        )

    first = create(6, 30)
    assert first.created == names.all
    assert (first.existing, first.differing, first.failed) == ((), (), ())
    again = create(6, 30)
    assert again == topics.TopicsReport(existing=names.all)
    other = create(12, 7)
    assert other.created == ()
    assert f"topic {names.full('moment.customers')}: partitions is 6, we would set 12" in (
        other.differing
    )
    letters = names.full("moment-sync.deadletters")
    assert (
        f"topic {letters}: retention.ms is {90 * DAY_MS}, we would set {21 * DAY_MS}"
        in other.differing
    )
    checked = asyncio.run(topics.check(kafka, names))
    assert checked == topics.TopicsCheck(
        problems=(), partitions=6, max_letter_bytes=1_048_588 + 262_144
    )


@pytest.mark.kafka
def test_a_cluster_without_the_topics_has_seven_problems(
    kafka: KafkaConnection, topic_prefix: str
) -> None:
    checked = asyncio.run(topics.check(kafka, TopicNames(topic_prefix)))
    assert len(checked.problems) == len(topics.ALL)
    assert checked.partitions is None


def test_topics_as_we_make_them_have_no_problem() -> None:
    assert judge(NAMES, found()).problems == ()
    assert judge(NAMES, found()).partitions == 12


def test_a_missing_topic_is_named() -> None:
    states = found()
    del states["p.moment.projects"]
    assert judge(NAMES, states).problems == (
        "topic p.moment.projects is missing: run `moment-sync topics create`",
    )
    assert judge(NAMES, states).partitions is None


@pytest.mark.parametrize("word", ["customers", "projects", "invoices", "commands"])
def test_unequal_partition_counts_are_refused(word: str) -> None:
    """A lane is one partition number in all the topics that are read."""
    more = msgspec.structs.replace(AS_WE_WOULD, partitions=13)
    checked = judge(NAMES, found(**{word: more}))
    assert len(checked.problems) == 1
    assert f"{word} 13" in checked.problems[0]
    assert checked.partitions is None


def test_other_partition_counts_of_what_is_written_do_not_matter() -> None:
    one = msgspec.structs.replace(AS_WE_WOULD, partitions=1)
    assert judge(NAMES, found(results=one)).problems == ()


def test_dead_letters_that_could_not_hold_the_largest_event_are_refused() -> None:
    larger = msgspec.structs.replace(AS_WE_WOULD, max_message_bytes=2_000_000)
    problems = judge(NAMES, found(invoices=larger)).problems
    assert len(problems) == 1
    assert "set max.message.bytes to 2262144 or more" in problems[0]


def test_a_topic_that_was_there_after_all_is_told_as_existing() -> None:
    """Right after it was made, a broker may not list it yet, and refuse to make it again."""
    answer = SimpleNamespace(topic_errors=[("a", 0, None), ("b", 36, "there"), ("c", 41, "no")])
    assert topics._outcome(answer) == (["a"], ["b"], ["topic c cannot be created: no"])
