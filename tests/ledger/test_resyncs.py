"""Resume and resync: what a person does about a whole integration."""

from datetime import date

import msgspec
import pytest

from connectors.integrations import DataType
from schemas.failures import Failure, FailureCode
from streams.ledger import resync as resync_module
from streams.ledger.known_books import identify_books
from tests.ledger.conftest import Tell
from tests.ledger.operating import Desk, die, hold, identified
from tests.ledger.samples import DK, SB1, customer, invoice, key_of, project
from tests.ledger.stage import Stage


def test_resume_ends_a_hold_and_asks_for_the_parents_that_are_waited_for(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(p=project())
        await stage.worker.claim_all()
        await stage.worker.answer(key_of("customer", "100042"), None)
        assert (await stage.worker.tick()).questions == ()
        await hold(stage, Failure(code=FailureCode.CREDENTIALS_REFUSED))
        await desk.send("resume", integration=SB1.id)
        ran = await desk.run()
        assert ran.resumed == {SB1.id}
        assert stage.held().failure is None
        assert (await stage.worker.tick()).questions == (key_of("customer", "100042"),)

    tell(story)


def test_resume_accepts_books_whose_identity_changed_and_forgets_what_was_in_the_old_ones(
    tell: Tell,
) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer())
        await stage.worker.deliver("c")
        await stage.ledger.submit(identify_books, identified(stage, "books/old"))
        known = await stage.ledger.submit(identify_books, identified(stage, "books/new"))
        assert not known.accepted
        await Desk(stage).do("resume", integration=SB1.id)
        row = stage.entity("customer", "100042")
        assert not row.in_books
        assert (row.reference, row.content) == (None, None)
        again = await stage.ledger.submit(identify_books, identified(stage, "books/new"))
        assert again.accepted
        assert again.look_up_until > stage.now.wall

    tell(story)


def test_resume_of_a_company_means_all_its_integrations(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.integrations = {SB1.id: SB1, DK.id: DK}
        said = await Desk(stage).do("resume", company="c-1001")
        assert [what for what, _, _ in said] == ["resumed", "resumed"]
        refused = await Desk(stage).refusal("resume", integration="none")
        assert refused["reason"] == "unknown"

    tell(story)


def test_resync_brings_the_last_state_of_customers_then_projects_to_a_new_integration(
    tell: Tell,
) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(
            p=project(), c=customer(), d=customer(name="Vik"), e=customer("100043"), i=invoice()
        )
        stage.integrations = {SB1.id: SB1, DK.id: DK}
        await desk.do("resync", integration=DK.id)
        assert stage.states(DK.id) == {"d": "ready", "e": "ready", "p": "ready"}
        assert list(stage.states(DK.id)) == ["d", "e", "p"], "customers first"
        rows = stage.rows("SELECT * FROM deliveries WHERE integration = :i", i=DK.id)
        assert all(row.rewrite for row in rows)
        assert "i" not in stage.states(DK.id)

    tell(story)


def test_resync_brings_invoices_from_the_date_that_a_person_names(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice(), p=project())
        stage.integrations[DK.id] = msgspec.structs.replace(
            DK, data=frozenset({DataType.CUSTOMERS, DataType.INVOICES})
        )
        desk = Desk(stage)
        await desk.do("resync", integration=DK.id, invoices_from=date(2026, 11, 3))
        assert set(stage.states(DK.id)) == {"c"}
        await desk.do("resync", integration=DK.id, invoices_from=date(2026, 11, 2))
        assert set(stage.states(DK.id)) == {"c", "i"}, "projects are switched off"

    tell(story)


def test_a_long_resync_goes_on_where_it_stopped(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync_module, "CHUNK", 2)

    async def story(stage: Stage) -> None:
        await stage.take(**{f"c{n}": customer(str(100100 + n)) for n in range(5)}, p=project())
        stage.integrations[DK.id] = DK
        desk = Desk(stage)
        name = await desk.send("resync", integration=DK.id)
        steps = 1
        while (await desk.run()).more:
            steps += 1
        assert steps > 3
        assert list(stage.states(DK.id)) == ["c0", "c1", "c2", "c3", "c4", "p"]
        assert [what for what, _, _ in desk.said(name)] == ["resynced"]

    tell(story)


def test_resync_of_a_booked_invoice_takes_the_event_that_was_booked(tell: Tell) -> None:
    """A later event of the same number is another invoice, and dead."""

    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c", "i")
        await stage.take(j=invoice(amount=2000))
        await stage.worker.claim_all()
        await Desk(stage).do("resync", integration=SB1.id, invoices_from=date(2026, 1, 1))
        rows = stage.rows(
            "SELECT ce_id FROM deliveries d JOIN inbox i ON i.event_pk = d.event_pk "
            "WHERE d.rewrite ORDER BY ordinal"
        )
        assert [row.ce_id for row in rows] == ["c", "i"]

    tell(story)


def test_a_resync_keeps_what_a_person_has_edited(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        await desk.do("replay", deliveries=(dead,), edit={"name": "Fjord 2 AS"})
        await stage.worker.deliver("c")
        await desk.do("resync", integration=SB1.id)
        claimed = (await stage.worker.claim())["c"]
        assert claimed.event.name == "Fjord 2 AS"  # type: ignore[union-attr]  # it is a customer

    tell(story)
