"""The lane of an entity: its Kafka key, and the partition that owns it.

The partition is computed here and never taken from where an event arrived (design section 5).
"""

import struct
from functools import lru_cache

_SEED = 0x9747B28C
_FACTOR = 0x5BD1E995
_MASK = 0xFFFFFFFF
_SIGN = 0x7FFFFFFF
# Keys whose partition is remembered: a customer's events come in bursts, and at some 150 bytes an
# entry this is 5 MB.
CACHED_KEYS = 32_768


def lane_key(company: str, customer_number: str) -> bytes:
    """The key of every event of one customer: `company/customerNumber` in UTF-8."""
    return f"{company}/{customer_number}".encode()


@lru_cache(maxsize=CACHED_KEYS)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner gives a key, of `partitions` (at least 1)."""
    return (murmur2(key) & _SIGN) % partitions


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit MurmurHash2, as its Java client computes it, but unsigned."""
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        k = word * _FACTOR & _MASK
        k = (k ^ k >> 24) * _FACTOR & _MASK
        h = (h * _FACTOR & _MASK) ^ k
    if length & 3:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _FACTOR & _MASK
    h = (h ^ h >> 13) * _FACTOR & _MASK
    return h ^ h >> 15
