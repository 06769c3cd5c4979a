"""Telling pages that something has changed (server-sent events). What, they ask for themselves.

So nothing goes this way that the page itself would not be given.
"""

import asyncio
import contextlib
from typing import Final

from aiohttp import web

from streams.console.desk import desk_of
from streams.console.security import secure
from streams.console.watch import TooManyViewersError

BEAT_S: Final = 15.0  # proxies cut a connection on which nothing comes for a minute
RETRY_MS: Final = 3_000  # a browser that lost us tries again after so long
LONGEST_S: Final = 900.0  # then it asks anew, and is asked anew who it is


async def live(request: web.Request) -> web.StreamResponse:
    """A stream of `changed` and `away`, until the browser leaves or a quarter of an hour."""
    desk = desk_of(request)
    try:
        queue = desk.watch.listen()
    except TooManyViewersError:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "60"}) from None
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    secure(request, response)
    loop = asyncio.get_running_loop()
    ends = loop.time() + LONGEST_S
    try:
        await response.prepare(request)
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        while loop.time() < ends:
            try:
                async with asyncio.timeout(BEAT_S):
                    what = await queue.get()
            except TimeoutError:
                await response.write(b": still here\n\n")
                desk.watch.touch()
                continue
            if what == "end":
                break
            await response.write(f"event: {what}\ndata: {what}\n\n".encode())
    except ConnectionResetError:
        pass
    finally:
        desk.watch.leave(queue)
    with contextlib.suppress(ConnectionResetError):
        await response.write_eof()
    return response
