"""What an attempt at a delivery leaves behind: its verdict and what was said on the way."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from connectors.port import Intent, NoAnswerKind

V_co = TypeVar("V_co", covariant=True)


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what came of it, cleared of secrets and cut to size.

    `kind`: the intent's for a write, else `read`. `target`: path and query. Exactly one of
    `status` and `no_answer` is set. `seconds`: until the end of the answer, waiting for a token
    or an intent not included. `written`: it was a write and its bytes may have left.
    """

    kind: str
    method: str
    target: str
    status: int | None = None
    no_answer: NoAnswerKind | None = None
    reason: str = ""
    request: str = ""
    answer: str = ""
    seconds: float = 0.0
    written: bool = False

    @property
    def response(self) -> str:
        """Status and body in one text, or why there is none."""
        if self.status is None:
            return f"no answer: {self.no_answer} {self.reason}".rstrip()
        return f"{self.status} {self.answer}".rstrip()


class Attempt(msgspec.Struct, Generic[V_co], frozen=True, kw_only=True):
    """The verdict of one run of a flow, and its exchanges in order.

    Reads of reference data are among them for everybody who waited for them.
    """

    verdict: V_co
    exchanges: tuple[Exchange, ...] = ()

    @property
    def last_answer(self) -> str:
        """What a dead letter carries as `-response`: the last exchange's, empty without any."""
        return self.exchanges[-1].response if self.exchanges else ""

    @property
    def wrote(self) -> bool:
        """Whether bytes of a write may have left in this attempt."""
        return any(exchange.written for exchange in self.exchanges)


class SendPermit(msgspec.Struct, frozen=True):
    """An intent is on disk. Its bytes may leave while `Clock.elapsed` is below `send_by`."""

    send_by: float


Intend = Callable[[Intent], Awaitable[SendPermit | None]]
"""Puts an intent on disk. None: the lane or the entity is not ours any more, send nothing."""
