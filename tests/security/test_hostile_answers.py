"""What becomes of a delivery when the accounting system answers with something hostile.

The bytes of the answers are tried in `tests/connectors/test_http_hostile.py`; here is what they
mean: a booking whose answer cannot be read may be in the books, and a question that was not
answered proves nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from connectors.http import BODY_MAX_BYTES, HttpSession
from connectors.port import Answer, Applied, Hold, NoAnswer, Refused, Retry, Unsure
from tests.connectors.loopback import RawServer, Reader, Writer, raw_server, session_for
from tests.contracts.carrier import Carrier, parents_of
from tests.contracts.places import DKPLUS, SPAREBANK1
from tests.contracts.world import Place, World

DEADLINE_S = 0.5
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


DEEP = 200_000
HOSTILE: dict[str, bytes] = {
    "closed at once": b"",
    "closed midway": HEAD + b"Content-Length: 100\r\n\r\n{",
    "chunked nonsense": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "huge headers": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "too large": whole(b" " * (BODY_MAX_BYTES + 1)),
    "deep lists": whole(b"[" * DEEP),
    "deep objects": whole(b'{"ID":' * DEEP + b"1" + b"}" * DEEP),
    "not JSON": whole(b"<html>Welcome to the hotel's wireless network</html>"),
    "not UTF-8": whole(b'{"ID":1,"Number":"\xff\xfe"}'),
    "empty": whole(b""),
    "null": whole(b"null"),
    "a number": whole(b"1e999999"),
    "a long number": whole(b'{"ID":' + b"9" * 1_000_000 + b"}"),
    "wrong types": whole(b'{"ID":{},"Number":[],"VoucherNumber":{},"StatusCode":"x"}'),
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
    b"Content-Length: 0\r\n\r\n",
    "endless": b"",
    "silent": b"",
}
# DK+ does not say what it answers when a customer is made: 200 and a whole body is enough.
ENOUGH_FOR_DKPLUS = ("empty", "null", "wrong types")
PLACES = [pytest.param(place, id=place.id) for place in (SPAREBANK1, DKPLUS)]


async def answer(what: str, raw: RawServer, reader: Reader, writer: Writer) -> None:
    await raw.request(reader)
    writer.write(HOSTILE[what])
    if what == "silent":
        await reader.read()
    while what == "endless":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
        await writer.drain()
        await asyncio.sleep(0)
    await writer.drain()


class Diverting:
    """HTTP whose requests of one kind go to a hostile server in place of the simulator."""

    def __init__(
        self, http: HttpSession, hostile: HttpSession, url: str, diverts: Callable[[str], bool]
    ) -> None:
        self._http, self._hostile, self._url, self._diverts = http, hostile, url, diverts
        self.diverted = 0

    async def send(
        self, url: str, *, method: str, headers: Mapping[str, str], **how: Any
    ) -> Answer | NoAnswer:
        if not self._diverts(method):
            return await self._http.send(url, method=method, headers=headers, **how)
        self.diverted += 1
        path = "/" + url.split("/", 3)[3]
        return await self._hostile.send(self._url + path, method=method, headers=headers, **how)


def told(
    place: Place, what: str, diverts: Callable[[str], bool], do: Callable[[Carrier], Any]
) -> Any:
    """What `do` makes of the hostile answer; fails where none was given."""
    found: list[Any] = []

    async def story(world: World) -> None:
        carrier = await parents_of(world)
        carrier.deadline_s = DEADLINE_S
        world.cache.forget(world.here.id, "")
        whole_http = world.http

        async def handler(raw: RawServer, reader: Reader, writer: Writer) -> None:
            await answer(what, raw, reader, writer)

        async with raw_server(handler) as raw, session_for(raw.url) as hostile:
            diverting = Diverting(whole_http, hostile, raw.url, diverts)
            world.http = diverting  # type: ignore[assignment]  # a double
            try:
                found.append((await do(carrier)).verdict)
            finally:
                world.http = whole_http
            assert diverting.diverted >= 1

    place.run(story, lawful=False)
    return found[0]


def write(method: str) -> bool:
    return method != "GET"


def read(method: str) -> bool:
    return method == "GET"


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("place", PLACES)
def test_a_booking_with_a_hostile_answer_is_uncertain(place: Place, what: str) -> None:
    verdict = told(place, what, write, lambda carrier: carrier.deliver(carrier.world.invoice()))
    assert isinstance(verdict, Unsure), verdict


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("place", PLACES)
def test_a_customer_that_is_made_with_a_hostile_answer_is_uncertain(
    place: Place, what: str
) -> None:
    def do(carrier: Carrier) -> Any:
        return carrier.deliver(carrier.world.customer(number="100077"))

    verdict = told(place, what, write, do)
    if place is DKPLUS and what in ENOUGH_FOR_DKPLUS:
        assert isinstance(verdict, Applied)
    else:
        assert isinstance(verdict, Unsure), verdict


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_answer_to_a_question_proves_nothing(place: Place, what: str) -> None:
    """Neither that an invoice may be booked nor that it is booked already."""

    def do(carrier: Carrier) -> Any:
        return carrier.deliver(carrier.world.invoice(), look_up_first=True)

    assert isinstance(told(place, what, read, do), Retry | Refused | Hold)
