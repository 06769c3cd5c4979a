"""A hold is told once, with its end, and not each time it comes and goes."""

from streams.ledger.holds import change_hold
from tests.ledger.conftest import Tell
from tests.ledger.samples import ACCESS, HOLD, customer
from tests.ledger.stage import Stage
from tests.notices.failing import hold_change
from tests.notices.post_office import (
    AGAIN_S,
    WINDOW_S,
    Office,
    after,
    notices_of,
    post_to,
    text_of,
)


def test_a_hold_is_one_notice_with_or_without_deliveries_and_its_end_another(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await s.take(a=customer("1"), b=customer("2"), c=customer("3"))
            claimed = await s.worker.claim()
            for name in "abc":
                await s.worker.settle(claimed[name], HOLD)
            await s.worker.claim(s.worker.want(held=ACCESS))
            await after(s, WINDOW_S, notices)
            await after(s, AGAIN_S, notices)
            (held,) = office.mails
            assert held["Subject"] == "[fjord-sb1] Stopped: transfers to SpareBank 1 Regnskap"
            assert "Waiting: 3 items" in text_of(held)
            await s.ledger.submit(change_hold, hold_change(s, None))
            await after(s, 1, notices)
            assert s.rows("SELECT * FROM notices") == []
        assert office.subjects[1:] == [
            "[fjord-sb1] Solved: transfers to SpareBank 1 Regnskap go on"
        ]

    tell(story)


def test_a_hold_is_told_though_nothing_waits(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await s.ledger.submit(change_hold, hold_change(s, ACCESS))
            await after(s, 0, notices)
            await after(s, WINDOW_S, notices)
        (held,) = office.mails
        assert "does not accept the integration's credentials" in text_of(held)

    tell(story)


def test_a_hold_that_comes_and_goes_is_not_told_each_time(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            for _ in range(5):
                await s.ledger.submit(change_hold, hold_change(s, ACCESS))
                await after(s, 0, notices)
                await after(s, WINDOW_S, notices)
                await s.ledger.submit(change_hold, hold_change(s, None))
                await after(s, WINDOW_S, notices)
        assert len(office.mails) == 2

    tell(story)
