"""What is one company's is told to nobody else: calls and verdicts, at random, two at once.

Outcomes, letters and mails of a whole worker: `test_companies_told.py`, whose threads Hypothesis
would take for steps of its own.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.http import HttpSession
from connectors.integrations import Integration
from connectors.port import Answer, NoAnswer
from connectors.simulation_faults import FaultKind, FaultRule
from schemas.events import Address, Entity
from tests.contracts.carrier import Carrier
from tests.contracts.places import DKPLUS, SPAREBANK1
from tests.contracts.world import Place, World
from tests.security.planted import marks

OWNERS: Final = ("here", "there")
EXAMPLES: Final = 12  # each starts a simulator; the rest of its kind costs milliseconds


class Seen:
    """HTTP that notes, of every request, whose credentials and whose data it carries."""

    def __init__(self, http: HttpSession, owners: Mapping[str, str]) -> None:
        self._http = http
        self._owners = owners
        self.calls: list[tuple[set[str], set[str]]] = []

    async def send(
        self, url: str, *, headers: Mapping[str, str], body: bytes | None, **how: Any
    ) -> Answer | NoAnswer:
        given = " ".join(headers.values())
        whose = {owner for secret, owner in self._owners.items() if secret in given}
        data = url + (body or b"").decode()
        self.calls.append((whose, marks(data)))
        return await self._http.send(url, headers=headers, body=body, **how)


steps = st.lists(
    st.tuples(
        st.sampled_from(OWNERS),
        st.sampled_from(("customer", "project", "invoice")),
        st.integers(0, 1),
        st.sampled_from((0, 0, 0, 400, 404, 429, 500, 503)),
    ),
    min_size=2,
    max_size=10,
)


def event_of(world: World, owner: str, kind: str, nth: int) -> Entity:
    """Numbers are the same in both companies; every free text is the company's own."""
    mark = f"mark-{owner}-mark"
    if kind == "customer":
        address = Address(line1=mark, postal_code="0155", city=mark, country_code="NO")
        return world.customer(
            name=mark, email=f"{mark}@x.example", website=f"https://{mark}.example", address=address
        )
    if kind == "project":
        return world.project(name=mark)
    return world.invoice(
        world.line("100", description=mark, product_name=mark),
        number=str(1001 + 2 * nth),
        description=mark,
    )


def owners_of(world: World) -> dict[str, str]:
    """What in a request's headers says whose it is."""
    if world.here.company_key:
        return {world.here.company_key: "here", world.there.company_key: "there"}
    return dict(zip(world.secrets, OWNERS, strict=True))


@pytest.mark.parametrize("place", [pytest.param(p, id=p.id) for p in (SPAREBANK1, DKPLUS)])
@settings(max_examples=EXAMPLES)
@given(steps)
def test_no_call_and_no_verdict_of_a_company_holds_what_is_anothers(
    place: Place, story: list[tuple[str, str, int, int]]
) -> None:
    async def tell(world: World) -> None:
        seen = Seen(world.http, owners_of(world))
        world.http = seen  # type: ignore[assignment]  # a double
        at: dict[str, Integration] = {"here": world.here, "there": world.there}
        carriers = {owner: Carrier(world, one) for owner, one in at.items()}

        async def step(owner: str, kind: str, nth: int, status: int) -> None:
            if status:
                body = json.dumps({"Message": f"about {kind} {nth}"})
                world.set_faults(
                    FaultRule(fault=FaultKind.ANSWER, status=status, body=body, limit=1)
                )
            attempt = await carriers[owner].deliver(event_of(world, owner, kind, nth))
            assert marks(repr(attempt)) <= {f"mark-{owner}-mark"}

        opening = [(owner, "customer", 0, 0) for owner in OWNERS]
        for group in (opening, story[::2], story[1::2]):
            await asyncio.gather(*(step(*one) for one in group))
        assert any(data for _, data in seen.calls)
        for whose, data in seen.calls:
            assert len(whose) <= 1
            assert data <= {f"mark-{owner}-mark" for owner in whose}

    place.run(tell, lawful=False)
