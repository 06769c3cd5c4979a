"""What makes two events the same: a digest of type, subject and decoded data.

White space, key order, `time`, unknown fields, the mode and the spelling of decimals do not count
(interface section 2). A member that is added to the structs as optional leaves old digests as
they are, because what is empty is not written.
"""

import hashlib

import orjson

from schemas.content import canonical, data_tree
from schemas.events import Entity

# Kept beside every digest. Raise it whenever the same event would get another digest.
DIGEST_VERSION = 1
# 128 bits: events of one source and id are compared, so only a planted collision could matter.
DIGEST_BYTES = 16


def digest_of(event_type: str, subject: str, data: Entity) -> bytes:
    """`DIGEST_BYTES` bytes, equal for the same event and, for all that is known, only for it."""
    return digest_of_json(event_type, subject, data_tree(data))


def digest_of_json(event_type: str, subject: str, tree: object) -> bytes:
    """The same of dicts and lists whose decimals are Decimal."""
    text = orjson.dumps((event_type, subject, tree), default=canonical, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=DIGEST_BYTES).digest()
