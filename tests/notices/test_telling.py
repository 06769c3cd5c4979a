"""What reaches the person whom an integration names (design section 8, interface section 6)."""

import asyncio
import logging
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest

from connectors.integrations import Language
from schemas.failures import Change, Failure, FailureCode, Reference
from streams.core.conclude import Result, What
from streams.ledger.holds import HoldChange, change_hold
from streams.notices.send import Failed
from tests.ledger.conftest import Tell
from tests.ledger.operating import Desk
from tests.ledger.stage import (
    ACCESS,
    HOLD,
    SB1,
    Stage,
    Worker,
    customer,
    invoice,
    key_of,
    project,
)
from tests.notices.post_office import (
    AGAIN_S,
    WINDOW_S,
    Office,
    after,
    free_port,
    notices_of,
    post_to,
    text_of,
)

NO_VAT_CODE = Result(
    what=What.REFUSED,
    failure=Failure(code=FailureCode.VAT_CODE_UNKNOWN, parameters={"vatCode": "33"}),
)
NO_OTHER_CODE = Result(
    what=What.REFUSED,
    failure=Failure(code=FailureCode.VAT_CODE_UNKNOWN, parameters={"vatCode": "6"}),
)
DAY_S = 86_400.0


async def fail(s: Stage, numbers: list[str], result: Result = NO_VAT_CODE) -> None:
    """Invoices of a customer that is in the books, all of which end so."""
    if not s.rows("SELECT * FROM entities WHERE in_books"):
        await s.take(c=customer())
        await s.worker.deliver("c")
    await s.take(**{f"i{number}": invoice(number) for number in numbers})
    await s.worker.deliver(*(f"i{number}" for number in numbers), result=result)


async def order(s: Stage, kind: str, *events: str) -> None:
    """What a person orders about the deliveries of these events."""
    await Desk(s).do(kind, deliveries=tuple(s.delivery(ce_id).delivery_id for ce_id in events))


def test_forty_invoices_with_the_same_missing_code_are_one_mail(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        numbers = [str(n) for n in range(1001, 1041)]
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await fail(s, numbers[:20])
            await after(s, 20, notices)
            await fail(s, numbers[20:])
            assert office.mails == [], "the window is open"
            await after(s, 10, notices)
            await after(s, 60, notices)
        (mail,) = office.mails
        assert mail["To"] == "regnskap@fjord.example"
        assert mail["Subject"] == (
            "[fjord-sb1] Not transferred to SpareBank 1 Regnskap: 40 invoices"
        )
        for kind in ("plain", "html"):
            text = text_of(mail, kind)
            assert "VAT code 33 is not there" in text
            assert "Correct the VAT code of the line" in text
            assert all(f"invoice {number}" in text for number in numbers)

    tell(story)


def test_a_second_cause_is_a_second_mail(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await fail(s, ["1001", "1002"])
            await fail(s, ["1003"], NO_OTHER_CODE)
            await after(s, WINDOW_S, notices)
        assert sorted(office.subjects) == [
            "[fjord-sb1] Not transferred to SpareBank 1 Regnskap: 2 invoices",
            "[fjord-sb1] Not transferred to SpareBank 1 Regnskap: invoice 1003",
        ]

    tell(story)


def test_more_of_a_known_cause_is_told_after_a_pause_with_what_is_new(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await fail(s, ["1001", "1002"])
            await after(s, WINDOW_S, notices)
            await fail(s, ["1003"])
            await after(s, WINDOW_S, notices)
            assert len(office.mails) == 1
            await after(s, AGAIN_S, notices)
            await after(s, AGAIN_S, notices)
        first, again = office.mails
        assert again["Subject"].endswith(": 3 invoices, 1 of them new")
        assert again["In-Reply-To"] == first["Message-ID"]
        assert text_of(again).index("- invoice 1003") < text_of(again).index("- invoice 1001")

    tell(story)


def test_what_stays_open_is_told_again_after_a_day_and_ever_more_rarely(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await fail(s, ["1001"])
            await after(s, WINDOW_S, notices)
            told = []
            for _ in range(9):
                await after(s, DAY_S, notices)
                told.append(len(office.mails))
        assert told == [2, 2, 3, 3, 3, 3, 4, 4, 4]
        assert office.subjects[1].startswith("[fjord-sb1] Still open: Not transferred")

    tell(story)


def test_a_word_when_all_of_it_is_solved(tell: Tell) -> None:
    """Replayed and applied, withdrawn by a newer event, discarded: however it ends."""

    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await fail(s, ["1001", "1002", "1003"])
            await after(s, WINDOW_S, notices)
            await order(s, "replay", "i1001")
            await s.worker.deliver("i1001")
            await s.take(newer=invoice("1002", amount=2000))
            await s.worker.deliver("newer")
            await after(s, WINDOW_S, notices)
            assert len(office.mails) == 1, "one is still dead"
            await order(s, "discard", "i1003")
            await after(s, 1, notices)
            await after(s, 9 * DAY_S, notices)
        _, solved = office.mails
        assert solved["Subject"] == "[fjord-sb1] Solved: 3 invoices, SpareBank 1 Regnskap"
        assert "VAT code 33 is not there" in text_of(solved)

    tell(story)


def test_what_is_mended_within_the_window_is_not_told(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await fail(s, ["1001"])
            await after(s, 1, notices)
            await order(s, "replay", "i1001")
            await s.worker.deliver("i1001")
            await after(s, WINDOW_S, notices)
            await after(s, 2 * DAY_S, notices)
        assert office.mails == []

    tell(story)


def test_what_fails_in_another_way_is_told_under_its_new_cause_alone(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await fail(s, ["1001"])
            await after(s, WINDOW_S, notices)
            await order(s, "replay", "i1001")
            await s.worker.deliver("i1001", result=NO_OTHER_CODE)
            await after(s, WINDOW_S, notices)
            await after(s, 1, notices)
        assert len(office.mails) == 2
        assert "VAT code 6 is not there" in text_of(office.mails[1])

    tell(story)


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


def hold_change(s: Stage, failure: Failure | None) -> HoldChange:
    return HoldChange(
        integration=SB1.id, failure=failure, now=s.now, hold_probe_s=30.0, hold_probe_max_s=900.0
    )


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


def test_what_waits_for_one_parent_is_one_mail_naming_it(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await s.take(c=customer(), j=invoice("1002"), i=invoice())
            number = Failure(
                code=FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE,
                parameters={"number": "100042", "from": "1", "to": "9"},
            )
            refused = Result(what=What.REFUSED, failure=number)
            await s.worker.deliver("c", result=refused)
            key = key_of("customer", "100042")
            assert (await s.worker.tick()).questions == (key,)
            await s.worker.answer(key, None)
            await after(s, WINDOW_S, notices)
        assert sorted(office.subjects) == [
            "[fjord-sb1] Not transferred to SpareBank 1 Regnskap: customer 100042",
            "[fjord-sb1] Waiting (customer 100042): 2 invoices",
        ]

    tell(story)


def test_what_is_to_be_done_by_hand_is_told_and_done_with(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        by_hand = Result(
            what=What.MANUAL,
            reference=Reference(id="7", number="7"),
            changes=(Change(field="name", from_="Bro", to="Bru"),),
        )
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await s.take(c=customer())
            await s.worker.deliver("c")
            await s.take(p=project())
            await s.worker.deliver("p", result=by_hand)
            await after(s, WINDOW_S, notices)
            await after(s, 9 * DAY_S, notices)
        (mail,) = office.mails
        assert "by hand" in mail["Subject"]
        assert "- project 7: name: Bro → Bru" in text_of(mail)
        assert s.rows("SELECT * FROM notices") == []

    tell(story)


def test_a_hundred_are_counted_and_fifty_named(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await fail(s, [str(n) for n in range(1001, 1051)])
            await fail(s, [str(n) for n in range(2001, 2051)])
            await after(s, WINDOW_S, notices)
        text = text_of(office.mails[0])
        assert text.count("\n- invoice") == 50
        assert "\nand 50 more\n" in text

    tell(story)


def test_a_server_that_was_away_gets_it_when_it_is_back_and_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        office.port = free_port()
        notices = notices_of(s, post_to(office.port))
        await fail(s, ["1001"])
        for _ in range(4):
            await after(s, WINDOW_S, notices)
        await fail(s, ["1002"], NO_OTHER_CODE)  # deliveries go on all the while
        with office.open():
            for _ in range(5):
                await after(s, 300, notices)
        assert len(office.mails) == 2
        assert len({mail["Message-ID"] for mail in office.mails}) == 2

    tell(story)


def test_an_address_that_is_refused_does_not_hold_up_the_others(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        other = msgspec.structs.replace(SB1, id="other-sb1", company="c-2", notify="b@x.example")
        s.integrations[other.id] = other
        office.refused.add(SB1.notify)
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await s.ledger.submit(change_hold, hold_change(s, ACCESS))
            held = msgspec.structs.replace(hold_change(s, ACCESS), integration=other.id)
            await s.ledger.submit(change_hold, held)
            await after(s, 0, notices)
            await after(s, WINDOW_S, notices)
            assert [mail["To"] for mail in office.mails] == ["b@x.example"]
            office.refused.clear()
            await after(s, 900, notices)
        assert [mail["To"] for mail in office.mails] == ["b@x.example", SB1.notify]

    tell(story)


def test_without_smtp_it_is_a_line_of_the_log_once(
    tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(s: Stage) -> None:
        notices = notices_of(s, None)
        await fail(s, ["1001", "1002"])
        await after(s, WINDOW_S, notices)
        await after(s, WINDOW_S, notices)
        await notices_of(s, None).step()

    with caplog.at_level(logging.INFO):
        tell(story)
    (line,) = [r for r in caplog.records if getattr(r, "action", "") == "notice"]
    assert "VAT code 33 is not there" in line.getMessage()
    assert "\n" not in line.getMessage()


class Crashing:
    """A post whose worker dies after the mail was taken and before it could say so."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.crash = True

    async def send(self, message: EmailMessage, _sender: str, _recipient: str) -> Failed | None:
        self.taken.append(message["Message-ID"])
        if self.crash:
            raise asyncio.CancelledError
        return None


def test_after_a_crash_it_is_told_again_under_the_same_id_and_then_no_more(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        post = Crashing()
        await fail(s, ["1001"])
        with pytest.raises(asyncio.CancelledError):
            await after(s, WINDOW_S, notices_of(s, post))
        post.crash = False
        for _ in range(3):
            await after(s, 60, notices_of(s, post))
        assert len(post.taken) == 2
        assert len(set(post.taken)) == 1

    tell(story)


def test_only_the_owner_of_the_integrations_lane_tells(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        with office.open() as port:
            await fail(s, ["1001"])
            await after(s, WINDOW_S, notices_of(s, post_to(port), owner="w2"))
            assert office.mails == []
            await Worker(s, "w2").own()
            await after(s, WINDOW_S, notices_of(s, post_to(port), owner="w1"))
            assert office.mails == []
            await after(s, WINDOW_S, notices_of(s, post_to(port), owner="w2"))
        assert len(office.mails) == 1

    tell(story)


def test_a_notice_is_written_with_its_outcome_or_not_at_all(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        await s.worker.settle(claimed, NO_VAT_CODE)
        await s.worker.settle(claimed, NO_VAT_CODE)
        assert len(s.rows("SELECT * FROM notices")) == len(s.outcomes("c")) == 1

    tell(story)


@pytest.mark.parametrize(
    ("language", "subject", "action"),
    [
        (Language.NB, "Ikke overført til SpareBank 1 Regnskap: 2 fakturaer", "Det er trygt"),
        (Language.IS, "Ekki flutt í SpareBank 1 Regnskap: 2 reikningar", "Óhætt er að senda"),
    ],
)
def test_it_speaks_the_language_of_the_integration(
    tell: Tell, language: Language, subject: str, action: str
) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        s.integrations[SB1.id] = msgspec.structs.replace(SB1, language=language)
        with office.open() as port:
            await fail(s, ["1001", "1002"])
            await after(s, WINDOW_S, notices_of(s, post_to(port)))
        (mail,) = office.mails
        assert mail["Subject"] == f"[fjord-sb1] {subject}"
        assert mail["Content-Language"] == language.value
        assert action in text_of(mail)
        assert action in text_of(mail, "html")

    tell(story)


def test_a_login_takes_the_password_from_its_file_and_tells_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        office = Office()
        secret = tmp_path / "password"
        message = EmailMessage()
        message["Subject"] = "x"
        message["From"] = "a@b.example"
        message["To"] = "c@d.example"
        message["Date"] = datetime(2026, 11, 2, tzinfo=UTC)
        with office.open(authenticator=office.log_in, auth_require_tls=False) as port:
            post = post_to(port, "user", str(secret))
            missing = await post.send(message, "a@b.example", "c@d.example")
            assert isinstance(missing, Failed)
            assert not missing.only_this
            secret.write_text("wrong-and-secret\n")
            wrong = await post.send(message, "a@b.example", "c@d.example")
            assert isinstance(wrong, Failed)
            assert "wrong-and-secret" not in wrong.reason
            secret.write_text("right\n")
            assert await post.send(message, "a@b.example", "c@d.example") is None
        assert office.logins == [b"wrong-and-secret", b"right"]

    asyncio.run(story())
