"""The shell: intents before bytes, one repetition after a 401, and every bug a verdict."""

import asyncio
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from connectors.attempts import Attempt, SendPermit
from connectors.port import (
    Answer,
    Call,
    Dropped,
    Hold,
    Intent,
    NoAnswer,
    NoAnswerKind,
    Request,
    Retry,
    Step,
    Write,
)
from connectors.redaction import HIDDEN, TEXT_MAX
from connectors.runner import encoded_target
from tests.connectors.loopback import (
    RawServer,
    Reader,
    Writer,
    raw_server,
    session_for,
    web_server,
)
from tests.connectors.scripted import (
    DONE,
    INTENT,
    OK,
    POST,
    READ,
    UNAUTHORISED,
    Books,
    Setting,
    deliver,
    read_and_tell,
    write_and_tell,
)
from tests.connectors.test_credentials import DK, SB1


def test_a_read_carries_the_credentials_the_company_and_the_encoded_query() -> None:
    books = Books()
    attempt = deliver(read_and_tell, books)
    assert attempt.verdict.ok
    assert books.calls == [
        (
            "GET",
            "https://books.example/api/biz/customers?filter=Name%20eq%20%27a%2Bb%27",
            {
                "Accept": "application/json",
                "Authorization": "Bearer t1",
                "CompanyKey": "key-1",
            },
            None,
        )
    ]


def test_a_request_says_itself_what_it_is_not_to_carry() -> None:
    def script() -> Generator[Step, Any, Any]:
        yield Call(Request(method="GET", path="/api/endpoints", authorised=False))
        yield Call(Request(method="GET", path="/api/init/companies", company_scoped=False))
        return DONE

    books = Books()
    deliver(script, books)
    assert books.calls[0][2] == {"Accept": "application/json", "CompanyKey": "key-1"}
    assert books.calls[1][2] == {"Accept": "application/json", "Authorization": "Bearer t1"}


def test_dkplus_gets_its_static_token_and_no_company_key() -> None:
    books = Books()
    deliver(write_and_tell, books, DK)
    assert books.calls[0][2] == {
        "Accept": "application/json",
        "Authorization": "Bearer static-token",
        "Content-Type": "application/json",
    }


def test_the_intent_is_on_disk_before_the_write_and_the_token_is_had_before_the_intent() -> None:
    async def main() -> None:
        order: list[str] = []
        books = Books()
        it = Setting(write_and_tell, books)
        send = books.identity.send

        async def token(*args: Any, **more: Any) -> Answer | NoAnswer:
            order.append("token")
            return await send(*args, **more)

        async def intend(intent: Intent) -> SendPermit:
            assert books.calls == []
            order.append(intent.kind)
            return SendPermit(it.clock.seconds + 5)

        books.identity.send = token  # type: ignore[method-assign]  # a double
        attempt: Attempt[Any] = await it.runner.deliver(it.job, intend)
        assert attempt.verdict.ok
        assert order == ["token", "customer.create"]
        assert len(books.calls) == 1
        assert attempt.wrote

    asyncio.run(main())


def test_without_ownership_nothing_is_sent() -> None:
    async def main() -> None:
        books = Books()
        it = Setting(write_and_tell, books)
        it.permit = None
        attempt = await it.deliver()
        assert attempt.verdict.kind is NoAnswerKind.DROPPED
        assert not attempt.verdict.sent
        assert books.calls == []
        assert not attempt.wrote

    asyncio.run(main())


def test_a_write_whose_time_is_past_is_dropped_before_its_first_byte() -> None:
    """The intent took long: a new owner may already be counting."""

    async def main() -> None:
        async def handler(raw: RawServer, reader: Reader, _writer: Writer) -> None:
            raw.received += await reader.read()

        async with raw_server(handler) as raw, session_for(raw.url) as session:
            here = msgspec.structs.replace(DK, base_url=raw.url)
            it = Setting(write_and_tell, session, here)
            it.permit = SendPermit(it.clock.seconds)
            attempt = await it.deliver()
            await session.close()
            assert attempt.verdict.kind is NoAnswerKind.DROPPED
            assert not attempt.verdict.sent
            assert raw.received == b""

    asyncio.run(main())


def test_no_token_means_no_intent_and_its_verdict_reaches_the_flow() -> None:
    async def main() -> None:
        books = Books()
        books.identity.instead = Answer(status=400, body=b'{"error":"invalid_client"}')
        it = Setting(write_and_tell, books)
        attempt = await it.deliver()
        assert attempt.verdict.kind is NoAnswerKind.TOKEN
        assert isinstance(attempt.verdict.verdict, Hold)
        assert it.intents == []
        assert books.calls == []

    asyncio.run(main())


def read_then_write() -> Generator[Step, Any, Any]:
    yield Call(READ)
    return (yield Write(POST, INTENT))


def test_a_401_with_a_token_that_served_before_renews_it_and_repeats_once() -> None:
    books = Books(OK, UNAUTHORISED, OK)
    attempt = deliver(read_then_write, books)
    assert attempt.verdict == OK
    tokens = [headers["Authorization"] for _, _, headers, _ in books.calls]
    assert tokens == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert [exchange.status for exchange in attempt.exchanges] == [200, 401, 200]


def test_a_401_that_persists_goes_to_the_flow() -> None:
    books = Books(OK, UNAUTHORISED)
    attempt = deliver(read_then_write, books)
    assert attempt.verdict == UNAUTHORISED
    assert len(books.calls) == 3
    assert len(books.identity.asked) == 2


def test_a_401_that_persisted_is_remembered_and_renews_no_more() -> None:
    """Another company of the client is served, so the token itself is good."""

    async def main() -> None:
        books = Books(OK, UNAUTHORISED)
        it = Setting(read_then_write, books)
        other = msgspec.structs.replace(SB1, id="other")
        assert (await it.deliver()).verdict == UNAUTHORISED
        for _ in range(5):
            it.credentials.heard(other, "t2", accepted=True)
            assert (await it.deliver()).verdict == UNAUTHORISED
        assert len(books.identity.asked) == 2

    asyncio.run(main())


def test_a_401_with_a_fresh_token_goes_to_the_flow_at_once() -> None:
    books = Books(UNAUTHORISED)
    assert deliver(write_and_tell, books).verdict == UNAUTHORISED
    assert len(books.calls) == 1
    assert len(books.identity.asked) == 1


def test_a_write_is_repeated_after_a_401_only_while_it_may_be_sent() -> None:
    async def main() -> None:
        books = Books(OK, UNAUTHORISED, OK)
        it = Setting(read_then_write, books)
        send = books.identity.send

        async def slow(*args: Any, **more: Any) -> Answer | NoAnswer:
            if books.identity.asked:
                it.clock.seconds += 6  # the renewal outlives the permit
            return await send(*args, **more)

        books.identity.send = slow  # type: ignore[method-assign]  # a double
        attempt = await it.deliver()
        assert attempt.verdict.kind is NoAnswerKind.DROPPED
        assert len(books.calls) == 2
        assert len(it.intents) == 1

    asyncio.run(main())


def test_a_renewal_that_fails_after_a_401_tells_why() -> None:
    async def main() -> None:
        books = Books(OK, UNAUTHORISED)
        it = Setting(read_then_write, books)
        await it.credentials.bearer(SB1)
        books.identity.instead = Answer(status=503)
        attempt = await it.deliver()
        assert attempt.verdict.kind is NoAnswerKind.TOKEN
        assert isinstance(attempt.verdict.verdict, Retry)

    asyncio.run(main())


def test_a_hundred_deliveries_make_one_token_request_over_real_http() -> None:
    async def main() -> None:
        asked = 0

        async def token(request: web.Request) -> web.Response:
            nonlocal asked
            asked += 1
            form = await request.post()
            assert form["grant_type"] == "client_credentials"
            await asyncio.sleep(0.05)
            return web.json_response({"access_token": "t", "expires_in": 3600})

        async def customers(request: web.Request) -> web.Response:
            assert request.headers["Authorization"] == "Bearer t"
            assert request.query["filter"] == "Name eq 'a+b'"
            return web.json_response([])

        routes = (
            web.post("/connect/token", token),
            web.get("/api/biz/customers", customers),
        )
        async with web_server(*routes) as url, session_for(url) as session:
            here = msgspec.structs.replace(SB1, base_url=url, identity_url=url)
            it = Setting(read_and_tell, session, here)
            attempts = await asyncio.gather(*(it.deliver() for _ in range(100)))
        assert {attempt.verdict.status for attempt in attempts} == {200}
        assert asked == 1

    asyncio.run(main())


def test_exchanges_tell_what_was_said_without_secrets() -> None:
    body = b'{"Message":"token t1 and key key-1 refused","pad":"%s"}' % (b"x" * 5000)
    attempt = deliver(write_and_tell, Books(Answer(status=400, body=body)))
    (exchange,) = attempt.exchanges
    assert (exchange.kind, exchange.method, exchange.status) == ("customer.create", "POST", 400)
    assert exchange.target == "/api/biz/customers"
    assert exchange.request == '{"a":1}'
    assert exchange.written
    assert len(exchange.answer) == TEXT_MAX
    assert exchange.answer.startswith(f'{{"Message":"token {HIDDEN} and key {HIDDEN} refused"')
    assert attempt.last_answer.startswith("400 {")
    assert "key-1" not in repr(attempt.exchanges)


def test_an_exchange_without_answer_says_why() -> None:
    reply = NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True, reason="TimeoutError")
    attempt = deliver(write_and_tell, Books(reply))
    assert attempt.exchanges[0].no_answer is NoAnswerKind.TIMEOUT
    assert attempt.exchanges[0].written
    assert attempt.last_answer == "no answer: timeout TimeoutError"
    assert Attempt(verdict=Dropped()).last_answer == ""


def test_a_read_is_no_write_in_the_story() -> None:
    attempt = deliver(read_and_tell, Books())
    assert attempt.exchanges[0].kind == "read"
    assert not attempt.wrote


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/a/b", (), "/a/b"),
        ("/product/%C3%BEj%C3%B3nusta%201", (), "/product/%C3%BEj%C3%B3nusta%201"),
        ("/product/a%2Fb%252F", (), "/product/a%2Fb%252F"),
        ("/a", (("x", "1&y=2"), ("z", "")), "/a?x=1%26y%3D2&z="),
        (
            "/a",
            (("filter", "Name eq 'Ærø+%20'"),),
            "/a?filter=Name%20eq%20%27%C3%86r%C3%B8%2B%2520%27",
        ),
    ],
)
def test_a_path_goes_as_it_is_and_a_query_escaped(
    path: str, query: tuple[tuple[str, str], ...], target: str
) -> None:
    assert encoded_target(Request(method="GET", path=path, query=query)) == target


@pytest.mark.parametrize("path", ["", "a", "/a/../b", "/customer/..", "/./a", "//../a"])
def test_a_path_that_leads_elsewhere_is_a_bug(path: str) -> None:
    """A customer number `..` must not turn into another route."""
    with pytest.raises(ValueError, match="dot segments"):
        encoded_target(Request(method="GET", path=path))


@pytest.mark.parametrize(
    "path", ["/a b", "/þ", "/a?b", "/a#b", "/a%2", "/a%zz", "/a\r\nHost: evil"]
)
def test_a_path_that_nobody_encoded_is_a_bug(path: str) -> None:
    """Encoding it here would encode `%2F` a second time, or let `?` begin a query."""
    with pytest.raises(ValueError, match="percent-encoded"):
        encoded_target(Request(method="GET", path=path))


@given(st.text(), st.text(), st.text())
def test_whatever_is_encoded_is_one_line_of_plain_characters(
    segment: str, name: str, value: str
) -> None:
    try:
        path = f"/x{quote(segment, safe='')}y"
        (name + value).encode()
    except UnicodeEncodeError:
        return
    target = encoded_target(Request(method="GET", path=path, query=((name, value),)))
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    assert "#" not in target
    assert target.count("?") == 1
    assert target.startswith(path)
