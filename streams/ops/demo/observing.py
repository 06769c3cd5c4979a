"""Looks at the worker and at the simulators' books over HTTP, as a person's browser would."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec

from connectors.http import HttpSession
from connectors.port import Answer
from streams.ops.demo.books_read import FoundBooks, path_of, read_books
from streams.ops.demo.companies import Books, Kind

CALL_S: Final = 10.0
BOOKS_S: Final = 120.0  # fifty thousand bookings are some dozen megabytes
BOOKS_MAX_BYTES: Final = 1024 * 1024 * 1024
LOOK_AGAIN_S: Final = 0.1


@asynccontextmanager
async def _session(urls: Sequence[str]) -> AsyncIterator[HttpSession]:
    places = {urlsplit(url).netloc for url in urls}
    names = {urlsplit(url).hostname or "" for url in urls}
    allowed, private = frozenset(places), frozenset(places | names)
    async with HttpSession(allowed, private, body_max=BOOKS_MAX_BYTES) as session:
        yield session


async def _get(session: HttpSession, url: str, deadline_s: float = CALL_S) -> bytes | None:
    """The body of a 200, else None."""
    answer = await session.send(
        url, method="GET", headers={}, body=None, deadline_s=deadline_s, may_send=lambda: True
    )
    if isinstance(answer, Answer) and answer.status == HTTPStatus.OK:
        return answer.body
    return None


async def wait_until_ready(url: str, seconds: float, look: Callable[[], None]) -> bool:
    """Wait until a worker's `/readyz` says so; `look` may raise where there is no hope."""
    async with _session((url,)) as session:
        try:
            async with asyncio.timeout(seconds):
                while await _get(session, url) is None:
                    look()
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            return False
    return True


async def read_all_books(
    base_urls: Mapping[Kind, str], books: Sequence[Books]
) -> dict[str, FoundBooks]:
    """What stands in each of the books; those that cannot be read are missing."""
    found: dict[str, FoundBooks] = {}
    roots = {kind: _root(url) for kind, url in base_urls.items()}
    async with _session(list(roots.values())) as session:
        for one in books:
            shown = await _get(session, roots[one.kind] + path_of(one), BOOKS_S)
            if shown is None:
                continue
            try:
                found[one.id] = read_books(one, shown)
            except (msgspec.DecodeError, KeyError, TypeError):
                continue  # the judge says that it could not be read
    return found


def _root(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
