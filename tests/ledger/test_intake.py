"""What ingest writes down: once, whatever comes again (design sections 3 and 6)."""

import msgspec

from connectors.integrations import DataType
from tests.ledger.conftest import Tell
from tests.ledger.samples import COMPANY, DK, SB1, customer, invoice, lane_of, project
from tests.ledger.stage import Stage


def test_an_event_becomes_one_delivery_per_integration(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        s.integrations[DK.id] = DK
        taken = await s.take(c=customer())
        assert (taken.events, taken.duplicates, taken.letters) == (1, 0, 0)
        assert taken.integrations == {SB1.id, DK.id}
        assert s.states() == s.states(DK.id) == {"c": "ready"}
        assert s.delivery("c").lane == lane_of(customer())

    tell(story)


def test_the_same_event_again_is_nothing_new(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        taken = await s.take(c=customer())
        assert (taken.events, taken.duplicates, taken.letters) == (0, 1, 0)
        assert len(s.rows("SELECT * FROM deliveries")) == 1

    tell(story)


def test_the_same_event_twice_in_one_fetch_is_one(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        taken = await s.take_records(
            s.record("c", customer()), s.record("d", customer("100043")), s.record("c", customer())
        )
        assert (taken.events, taken.duplicates) == (2, 1)
        assert s.states() == {"c": "ready", "d": "ready"}

    tell(story)


def test_the_same_id_of_another_source_is_another_event(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        taken = await s.take_records(s.record("c", customer(), source="/moment/other"))
        assert taken.events == 1
        assert len(s.rows("SELECT * FROM deliveries")) == 2

    tell(story)


def test_the_same_id_with_other_content_is_a_letter_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(name="A"))
        other = s.record("c", customer(name="B"))
        taken = await s.take_records(other)
        assert (taken.events, taken.letters) == (0, 1)
        await s.take_records(other)  # redelivered
        (letter,) = s.letters()
        assert letter["moment-sync-code"] == "event-id-reused"
        assert letter["moment-sync-original-offset"] == str(other.offset)
        assert len(s.rows("SELECT * FROM deliveries")) == 1

    tell(story)


def test_the_same_id_with_other_content_at_the_same_place_is_a_letter(tell: Tell) -> None:
    """A topic that was made anew has the same places again: nothing of it is passed over."""

    async def story(s: Stage) -> None:
        first = s.record("c", customer(name="A"))
        await s.take_records(first)
        anew = msgspec.structs.replace(s.record("c", customer(name="B")), offset=first.offset)
        taken = await s.take_records(anew)
        assert (taken.events, taken.duplicates, taken.letters) == (0, 0, 1)
        taken = await s.take_records(first)  # the same record again is no letter
        assert (taken.events, taken.letters) == (0, 0)

    tell(story)


def test_the_same_id_with_other_content_in_one_fetch_is_a_letter(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        taken = await s.take_records(
            s.record("c", customer(name="A")), s.record("c", customer(name="B"))
        )
        assert (taken.events, taken.letters) == (1, 1)

    tell(story)


def test_a_redelivered_record_is_nothing(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        record = s.record("c", customer())
        await s.take_records(record)
        await s.worker.deliver("c")
        taken = await s.take_records(record)
        assert (taken.events, taken.letters) == (0, 0)
        assert s.states() == {"c": "applied"}

    tell(story)


def test_a_stored_digest_of_another_version_is_compared_by_the_content(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), d=customer("100043"))
        with s.ledger.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE inbox SET digest_version = 0")
        taken = await s.take(c=customer(), d=customer("100043", name="Another"))
        assert (taken.duplicates, taken.letters) == (1, 1)

    tell(story)


def test_an_unknown_company_is_a_letter_once_per_place_and_taken_later(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        s.integrations = {}
        record = s.record("c", customer())
        await s.take_records(record)
        await s.take_records(record)
        (letter,) = s.letters()
        assert letter["moment-sync-code"] == "company-unknown"
        assert letter["moment-sync-company"] == COMPANY
        s.integrations = {SB1.id: SB1}
        taken = await s.take(c=customer())
        assert (taken.events, taken.duplicates) == (1, 0)
        assert s.states() == {"c": "ready"}
        assert len(s.letters()) == 1

    tell(story)


def test_an_event_whose_data_type_was_off_is_taken_when_it_comes_again(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        off = msgspec.structs.replace(SB1, data=frozenset({DataType.INVOICES}))
        s.integrations = {SB1.id: off}
        record = s.record("c", customer())
        taken = await s.take_records(record)
        assert s.states() == {}
        s.integrations = {SB1.id: SB1}
        taken = await s.take_records(record)
        assert taken.events == 0, "the same record again is never taken"
        taken = await s.take(c=customer())
        assert taken.events == 1
        taken = await s.take(c=customer())
        assert (taken.events, taken.duplicates) == (0, 1)
        assert s.states() == {"c": "ready"}

    tell(story)


def test_offsets_never_go_back(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        early, late = s.record("c", customer()), s.record("d", customer("100043"))
        await s.take_records(early, late)
        await s.take_records(early)
        place = ("moment.customers", 0)
        assert await s.intake.resume_at({place: late.offset + 1}) == {}
        assert await s.intake.resume_at({place: late.offset + 5}) == {place: late.offset + 1}

    tell(story)


def test_a_ledger_behind_kafka_looks_every_booking_up_first(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.worker.identify()
        assert (await s.worker.identify()).look_up_until > s.now.wall
        s.go_on(40 * 24 * 3600.0)  # the books are not new any more
        assert (await s.worker.identify()).look_up_until < s.now.wall
        await s.intake.resume_at({("moment.invoices", 3): 17})
        assert (await s.worker.identify()).look_up_until > s.now.wall

    tell(story)


def test_deliveries_are_numbered_in_the_order_of_the_fetch(tell: Tell) -> None:
    """`ordinal` is the order of receipt, which the whole order of an entity stands on."""

    async def story(s: Stage) -> None:
        names = [f"e{n:04d}" for n in range(1_500)]
        await s.take(**{name: customer(str(100_000 + n)) for n, name in enumerate(names)})
        assert list(s.states()) == names

    tell(story)


def test_what_cannot_be_stored_does_not_stop_the_ledger(tell: Tell) -> None:
    """PostgreSQL keeps no NUL in a text: nothing that is taken may bring one."""

    async def story(s: Stage) -> None:
        records = [
            s.record("c", customer(number="1\x002")),
            s.record("p", project(customer_number="1\x1f2")),
            s.record(
                "i",
                invoice(number="\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
            ),
        ]
        for record in records:
            await s.take_records(record)

    tell(story)
