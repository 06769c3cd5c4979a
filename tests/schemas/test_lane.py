"""Keys, and the partitions that Kafka's own clients would put them on."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis import strategies as st

from schemas.lane import lane_key, murmur2, partition_of


@given(st.binary(max_size=64))
def test_the_hash_is_the_one_of_kafka_clients(data: bytes) -> None:
    assert murmur2(data) == murmur2_of_aiokafka(data) & 0xFFFFFFFF


@given(st.binary(min_size=1, max_size=64), st.integers(min_value=1, max_value=200))
def test_the_partition_is_the_one_of_kafka_clients(key: bytes, count: int) -> None:
    partitions = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key, partitions, partitions)


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        (b"abc", 479_470_107),
    ],
)
def test_the_hash_of_the_java_client(data: bytes, signed: int) -> None:
    """Values of its own tests."""
    assert murmur2(data) == signed & 0xFFFFFFFF


def test_a_key_is_company_and_customer() -> None:
    assert lane_key("c-1001", "100042") == b"c-1001/100042"
    assert lane_key("fjörður", "1") == "fjörður/1".encode()
