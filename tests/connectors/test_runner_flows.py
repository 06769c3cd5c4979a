"""The shell with looks, bugs and flows that end early: every one is a verdict."""

import asyncio
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from connectors import runner as runner_module
from connectors.port import (
    Absent,
    Answer,
    Call,
    Forget,
    Identity,
    Look,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Request,
    Retry,
    Step,
    Unsure,
    Write,
)
from connectors.runner import EXCHANGES_KEPT
from schemas.events import EntityType
from schemas.failures import Failure, FailureCode
from tests.connectors.loopback import (
    BackgroundErrors,
    soon,
)
from tests.connectors.scripted import (
    INTENT,
    OK,
    POST,
    READ,
    UNAUTHORISED,
    Books,
    Script,
    Setting,
    deliver,
    read_and_tell,
    write_and_tell,
)
from tests.connectors.test_credentials import SB1

logs_a_bug = pytest.mark.usefixtures("_a_bug_is_logged")


@pytest.fixture
def _a_bug_is_logged(background_errors: BackgroundErrors) -> Iterator[None]:
    """The flow's bug is told, once for each that met it, and nothing else is."""
    yield
    assert background_errors.take("a flow failed")


def fetch_account() -> Generator[Step, Any, Any]:
    answer = yield Call(Request(method="GET", path="/api/biz/accounts"))
    return answer.body.decode() or None


def test_a_hundred_looks_make_one_read_and_later_ones_none() -> None:
    async def main() -> None:
        def script() -> Generator[Step, Any, Any]:
            return (yield Look("account:3000", fetch_account))

        books = Books(Answer(status=200, body=b"account"))
        it = Setting(script, books)
        attempts = await asyncio.gather(*(it.deliver() for _ in range(100)))
        assert {attempt.verdict for attempt in attempts} == {"account"}
        assert len(books.calls) == 1
        assert all(len(attempt.exchanges) == 1 for attempt in attempts)
        later = await it.deliver()
        assert (later.verdict, later.exchanges) == ("account", ())

    asyncio.run(main())


def test_forgetting_reads_again_and_only_for_this_integration() -> None:
    async def main() -> None:
        def script() -> Generator[Step, Any, Any]:
            first = yield Look("account:3000", fetch_account)
            assert (yield Forget("account:")) is None
            return first, (yield Look("account:3000", fetch_account))

        books = Books(*(Answer(status=200, body=b"%d" % n) for n in range(3)))
        it = Setting(script, books)
        assert (await it.deliver()).verdict == ("0", "1")

    asyncio.run(main())


def test_what_could_not_be_learnt_reaches_the_flow_and_is_not_kept() -> None:
    failure = Failure(code=FailureCode.SYSTEM_UNAVAILABLE, parameters={"status": "503"})

    def fetch() -> Generator[Step, Any, Any]:
        answer = yield Call(READ)
        return "there" if answer.ok else Retry(failure=failure)

    def script() -> Generator[Step, Any, Any]:
        first = yield Look("k", fetch)
        return first, (yield Look("k", fetch))

    attempt = deliver(script, Books(Answer(status=503), OK))
    assert attempt.verdict == (Retry(failure=failure), "there")
    assert [exchange.status for exchange in attempt.exchanges] == [503, 200]


@logs_a_bug
def test_a_bug_in_a_fetch_is_a_refusal_for_all_who_wait() -> None:
    def fetch() -> Generator[Step, Any, Any]:
        yield Call(READ)
        raise KeyError("hush")

    def script() -> Generator[Step, Any, Any]:
        return (yield Look("k", fetch))

    verdict = deliver(script, Books()).verdict
    assert isinstance(verdict, Refused)
    assert verdict.failure.code is FailureCode.ANSWER_NOT_UNDERSTOOD


@logs_a_bug
def test_a_bug_before_any_write_is_a_refusal_that_names_it() -> None:
    def script() -> Generator[Step, Any, Any]:
        yield Call(READ)
        raise KeyError("hush")

    verdict = deliver(script, Books()).verdict
    assert isinstance(verdict, Refused)
    assert verdict.failure.code is FailureCode.ANSWER_NOT_UNDERSTOOD
    assert verdict.failure.parameters == {"status": "-", "answer": "KeyError"}


@logs_a_bug
@pytest.mark.parametrize("reply", [OK, UNAUTHORISED, Answer(status=500)])
def test_a_bug_after_a_write_leaves_it_uncertain(reply: Answer) -> None:
    """Whatever our flow made of the answer, the write may be in the books."""

    def script() -> Generator[Step, Any, Any]:
        yield Write(POST, INTENT)
        raise KeyError

    verdict = deliver(script, Books(reply)).verdict
    assert isinstance(verdict, Unsure)
    assert verdict.intent == INTENT
    assert verdict.failure.code is FailureCode.WRITE_UNCERTAIN


@logs_a_bug
def test_a_bug_after_a_write_that_was_never_sent_is_a_refusal() -> None:
    def script() -> Generator[Step, Any, Any]:
        yield Write(POST, INTENT)
        raise KeyError

    books = Books(NoAnswer(kind=NoAnswerKind.REFUSED, sent=False))
    assert isinstance(deliver(script, books).verdict, Refused)


@logs_a_bug
def test_a_bug_while_sending_a_write_leaves_it_uncertain() -> None:
    verdict = deliver(write_and_tell, Books(AssertionError())).verdict
    assert isinstance(verdict, Unsure)


@logs_a_bug
def test_a_bug_while_looking_up_ends_no_delivery() -> None:
    async def main() -> None:
        def script() -> Generator[Step, Any, Any]:
            yield Call(READ)
            raise KeyError

        it = Setting(script, Books())
        assert isinstance((await it.runner.resolve(it.job, INTENT)).verdict, Retry)
        assert isinstance((await it.runner.identify(SB1)).verdict, Retry)
        found = await it.runner.find(EntityType.CUSTOMER, "1", SB1)
        assert isinstance(found.verdict, Refused)

    asyncio.run(main())


@logs_a_bug
def test_a_flow_that_only_asks_cannot_write() -> None:
    async def main() -> None:
        books = Books()
        it = Setting(write_and_tell, books)
        assert isinstance((await it.runner.resolve(it.job, INTENT)).verdict, Retry)
        assert isinstance((await it.runner.find(EntityType.CUSTOMER, "1", SB1)).verdict, Refused)
        assert books.calls == []

    asyncio.run(main())


def test_questions_return_what_their_flows_return() -> None:
    async def main() -> None:
        def script() -> Generator[Step, Any, Any]:
            yield Call(READ)
            return verdicts.pop(0)

        verdicts: list[Any] = [Absent(), Absent(), Identity(books="b")]
        it = Setting(script, Books())
        assert (await it.runner.resolve(it.job, INTENT)).verdict == Absent()
        found = await it.runner.find(EntityType.CUSTOMER, "1", SB1)
        assert found.verdict == Absent()
        assert (await it.runner.identify(SB1)).verdict == Identity(books="b")

    asyncio.run(main())


@logs_a_bug
def test_what_is_no_step_is_a_bug() -> None:
    def script() -> Generator[Any, Any, Any]:
        yield "a word"

    assert isinstance(deliver(script, Books()).verdict, Refused)


@logs_a_bug
def test_a_flow_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "STEPS_MAX", 50)

    def script() -> Generator[Step, Any, Any]:
        while True:
            yield Call(READ)

    books = Books()
    attempt = deliver(script, books)
    assert isinstance(attempt.verdict, Refused)
    assert len(books.calls) == 50
    assert len(attempt.exchanges) == EXCHANGES_KEPT


@pytest.mark.parametrize("script", [read_and_tell, write_and_tell])
def test_cancelling_closes_the_flow_and_is_not_swallowed(script: Script) -> None:
    async def main() -> None:
        ended: list[str] = []

        def watched() -> Generator[Step, Any, Any]:
            try:
                return (yield from script())
            finally:
                ended.append("closed")

        books = Books()
        books.gate.clear()
        it = Setting(watched, books)
        task = asyncio.create_task(it.deliver())
        await soon(lambda: len(books.calls) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["closed"]

    asyncio.run(main())
