"""Guids for new nested objects, the same for every repeat of a write. Pure."""

from typing import Final
from uuid import UUID, uuid5

import msgspec

_NAMESPACE: Final = UUID("5f0b5f2e-9d0b-5f4c-8a6d-6c6f6d656e74")


class Guids(msgspec.Struct, frozen=True, kw_only=True):
    """Makes each `_createguid` from delivery, replay and path (contract sparebank1-regnskap 12.5).

    The number of the replay is in it since an edited replay has other content.
    """

    delivery_id: str
    replay: int = 0

    def at(self, path: str) -> str:
        """The guid of the new object at a path of the body."""
        return str(uuid5(_NAMESPACE, f"{self.delivery_id}/{self.replay}/{path}"))
