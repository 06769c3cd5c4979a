"""`check` and a delivery read the same things, so they must come to the same words."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.events import Account, Invoice
from schemas.failures import FailureCode
from streams.core.states import State
from tests.contracts.places import EVERYWHERE
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place
from tests.ops.books_stage import Stage, staged

everywhere = pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.id)


@everywhere
def test_what_check_says_of_an_invoice_is_what_its_delivery_would_say(
    place: Place, tmp_path: Path
) -> None:
    """Else a green check would be worth nothing, and a red one would cost trust."""

    async def story(stage: Stage) -> None:
        world = stage.world
        await stage.carrier.applied(world.customer())
        for code, invoice in refused(stage).items():
            story = await stage.carrier.carry(invoice)
            assert story.state is State.DEAD, story.seen
            assert story.failure is not None
            assert story.failure.code is code
            await stage.have_seen(invoice)
            findings = await stage.found("check")
            assert (code.value, f"invoice/{invoice.number}") in [
                (one["code"], one["entity"]) for one in findings
            ]

    staged(place, tmp_path, story)


def refused(stage: Stage) -> dict[FailureCode, Invoice]:
    """One invoice for each reason that lies in the set-up."""
    world = stage.world
    line = world.line("100")
    changes: dict[FailureCode, dict[str, Any]] = {
        FailureCode.PRODUCT_VAT_DIFFERS: {"vat_percent": Decimal(11)},
        FailureCode.VAT_PERCENT_MISSING: {"product_number": "óþekkt", "vat_percent": None},
        FailureCode.ITEM_CODE_TOO_LONG: {"product_number": "y" * 21},
        FailureCode.ITEM_CODE_MISSING: {"product_number": " "},
    }
    if isinstance(world, Sparebank1World):
        world.deed("accounts", {"AccountNumber": 3020, "Locked": True})
        world.deed("vattypes", {"VatCode": "31", "Locked": True})
        changes = {
            FailureCode.ACCOUNT_UNKNOWN: {"account": Account(number="3999")},
            FailureCode.ACCOUNT_LOCKED: {"account": Account(number="3020")},
            FailureCode.VAT_CODE_UNKNOWN: {"vat_code": "77"},
            FailureCode.VAT_CODE_NOT_VALID: {"vat_code": "31", "vat_percent": Decimal(15)},
            FailureCode.VAT_RATE_DIFFERS: {"vat_percent": Decimal(15)},
        }
    return {
        code: world.invoice(msgspec.structs.replace(line, **change), number=str(5000 + place))
        for place, (code, change) in enumerate(changes.items())
    }
