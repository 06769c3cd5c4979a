"""What never became a delivery, told to whoever waits for it; and what has been open for long."""

import math

import msgspec
import pytest

from schemas.events import EntityType
from schemas.failures import Failure, FailureCode
from schemas.outcomes import OutcomeKind
from streams.ledger.letter_notices import detail_of
from streams.ledger.pruning import alarm_age_s
from streams.notices.causes import Cause, Detail, Say
from streams.notices.plan import REMINDER_S, Rest, Standing, decide
from tests.ledger.conftest import Tell
from tests.ledger.operating import Desk
from tests.ledger.samples import DK, SB1, customer, invoice
from tests.ledger.stage import Stage
from tests.notices.failing import DAY_S, fail
from tests.notices.post_office import WINDOW_S, Office, after, notices_of, post_to, text_of

INVALID = Failure(
    code=FailureCode.EVENT_INVALID, parameters={"path": "$.lines", "reason": "missing"}
)


def test_an_event_of_a_known_company_that_cannot_be_taken_is_told_once(tell: Tell) -> None:
    """Two integrations of one company are one company: the first is told."""

    async def story(s: Stage) -> None:
        office = Office()
        s.integrations = {SB1.id: SB1, DK.id: DK}
        good = s.record("i1", invoice("1001"))
        broken = msgspec.structs.replace(
            good, value=(good.value or b"").replace(b'"customerNumber":"100042"', b'"x":1')
        )
        unreadable = msgspec.structs.replace(s.record("i2", invoice("1002")), value=b"{")
        await s.take_records(broken)
        await s.take_records(unreadable)
        await s.take_records(msgspec.structs.replace(good, key=b"c-1/2", value=b"", headers=()))
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await after(s, WINDOW_S, notices)
            await after(s, WINDOW_S, notices)
        told = sorted((str(mail["To"]), str(mail["Subject"])) for mail in office.mails)
        first = min(s.integrations.values(), key=lambda one: one.id)
        assert [to for to, _ in told] == [first.notify] * 2, "nobody knows the third one's company"
        texts = "\n".join(text_of(mail) for mail in office.mails)
        assert "1001" in texts
        assert "$.customerNumber" in texts
        assert "deadletters list --company c-1001 --code event-invalid" in texts

    tell(story)


def test_when_its_letters_are_discarded_a_cause_is_solved(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        unreadable = msgspec.structs.replace(s.record("i2", invoice("1002")), value=b"{")
        await s.take_records(unreadable)
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await after(s, WINDOW_S, notices)
            assert len(office.mails) == 1
            (row,) = s.rows("SELECT letter_id FROM letters")
            await Desk(s).do("discard", deliveries=(row.letter_id,))
            await after(s, 2, notices)
            await after(s, 2, notices)
        assert [subject.startswith("[fjord-sb1] Solved") for subject in office.subjects] == [
            False,
            True,
        ]

    tell(story)


def test_a_letter_of_nobodys_company_is_looked_at_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        stranger = s.record("x", msgspec.structs.replace(customer(), company="c-9"))
        await s.take_records(stranger)
        with office.open() as port:
            await after(s, WINDOW_S, notices_of(s, post_to(port)))
        assert office.mails == []
        (row,) = s.rows("SELECT told, state FROM letters")
        assert (bool(row.told), row.state) == (True, "dead")

    tell(story)


def test_a_record_is_called_by_its_entity_its_event_or_its_place(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        whole = s.record("i1", invoice("1001"))
        assert detail_of(whole, INVALID) == Detail(
            entity_type=EntityType.INVOICE, number="1001", failure=INVALID
        )
        half = msgspec.structs.replace(whole, value=b'{"number":"1001"}')
        assert detail_of(half, INVALID).number == "1001"
        broken = msgspec.structs.replace(whole, value=b"{")
        assert detail_of(broken, INVALID) == Detail(number="i1", failure=INVALID)
        bare = msgspec.structs.replace(whole, value=b"\xff", headers=())
        assert detail_of(bare, INVALID).number == f"moment.invoices/0/{whole.offset}"

    tell(story)


# --- what has been open for long -----------------------------------------------------------------


def test_what_the_topics_will_soon_have_no_more_is_told_before_they_lose_it(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port), kept_s=30 * DAY_S)
            await fail(s, ["1001"])
            for _ in range(29):
                await after(s, DAY_S, notices)
        texts = [text_of(mail) for mail in office.mails]
        lasting = ["kept in one place only" in text for text in texts]
        assert not any(lasting[:-7])
        assert all(lasting[-7:]), "daily, in the last week"
        assert "From 2026-10-21 on" in texts[-1]

    tell(story)


@pytest.mark.parametrize(("age", "said"), [(22.9, Rest.NOTHING), (23.0, Say.REMINDER)])
def test_a_reminder_comes_daily_when_there_is_a_week_left(age: float, said: object) -> None:
    kept = 30 * DAY_S
    cause = Cause(
        cause_pk=1,
        integration="a",
        system="dkplus",
        company="c",
        kind=OutcomeKind.DEAD,
        code=FailureCode.PERIOD_LOCKED,
        detail=Detail(),
        told=True,
        told_at=1e9 - REMINDER_S,
        mails=1,
        reminders=3,
    )
    standing = Standing(over=False, oldest_at=1e9 - age * DAY_S)
    lasting_s = alarm_age_s(kept)
    assert decide(cause, standing, now=1e9, window_s=30, lasting_s=lasting_s) is said
    assert decide(cause, standing, now=1e9, window_s=30, lasting_s=math.inf) is Rest.NOTHING
