"""A canary: one is sent, and the others only where it got through."""

import asyncio
from typing import Any, Final

from streams.core.states import State
from streams.ledger.queries import Settled, where_is
from streams.ops import console_output as out
from streams.ops.command_base import CommandEnds, Exit
from streams.ops.ledger_view import LedgerView
from streams.ops.mend_course import BOOKS_WAIT_S
from streams.ops.orders import LOOK_S, Came

THROUGH: Final = frozenset({State.APPLIED, State.UNCHANGED})
_USUAL: Final = frozenset({State.READY, State.SENDING})


async def settled(view: LedgerView, came: Came) -> list[Settled]:
    """Wait until the canary, or what its letter opened, has settled.

    Ends the command (3) where that takes longer than half an hour.
    """
    ids = came.opened or came.done
    loop = asyncio.get_running_loop()
    deadline = loop.time() + BOOKS_WAIT_S
    told = ""
    while True:
        found = await asyncio.to_thread(view.ask, lambda connection: where_is(connection, ids))
        if all(one.settled for one in found):
            return found
        now = ", ".join(sorted({one.state.value for one in found if not one.settled}))
        if now != told and not {one.state for one in found if not one.settled} <= _USUAL:
            out.say(f"the canary is {now}; waiting for it")
        told = now
        if loop.time() >= deadline:
            raise CommandEnds(
                Exit.AWAY,
                f"the canary is still {now} after half an hour; nothing more was sent, and running "
                "the same again sends nothing twice",
            )
        await asyncio.sleep(LOOK_S)


def is_through(found: list[Settled]) -> bool:
    """Whether all of it is in the books."""
    return bool(found) and all(one.state in THROUGH for one in found)


def shown(found: list[Settled]) -> list[dict[str, Any]]:
    """The canary as documents show it."""
    return [
        {"deliveryId": one.delivery_id, "state": one.state.value, "code": one.failure_code}
        for one in found
    ]
