"""What reaches the person whom an integration names (design section 8, interface section 6)."""

import msgspec
import pytest

from connectors.integrations import Language
from schemas.failures import Change, Failure, FailureCode, Reference
from streams.core.conclude import Result, What
from tests.ledger.conftest import Tell
from tests.ledger.samples import SB1, customer, invoice, key_of, project
from tests.ledger.stage import Stage
from tests.notices.failing import DAY_S, NO_OTHER_CODE, NO_VAT_CODE, fail, order
from tests.notices.post_office import (
    AGAIN_S,
    WINDOW_S,
    Office,
    after,
    notices_of,
    post_to,
    text_of,
)


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
            await after(s, 2 * DAY_S, notices)
            assert len(office.mails) == 3, "nobody is reminded of the old cause"
        assert all("VAT code 6 is not there" in text_of(mail) for mail in office.mails[1:])

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
